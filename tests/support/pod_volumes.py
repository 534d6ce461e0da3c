"""Volumes as the kubelet hands them to pods, kept in volumes of the Docker engine."""

import json
from collections.abc import Mapping

from support.docker_engine import docker, docker_result

Files = Mapping[str, str]

# As the kubelet lays a Secret out: a folder for each version, a link to the newest one, and a link for each
# file through it, so that all files change at one moment.
_FILL = """
import json, os, sys
mode, group, files = int(sys.argv[1]), int(sys.argv[2]), json.load(sys.stdin)
os.chdir('/to')
version = f'..{len(os.listdir())}-{os.getpid()}'
os.mkdir(version)
for name, content in files.items():
    with open(f'{version}/{name}', 'w') as file:
        file.write(content)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), mode)
    if not os.path.lexists(name):
        os.symlink(f'..data/{name}', name)
os.symlink(version, '..data_new')
os.rename('..data_new', '..data')
"""

# As the kubelet hands a volume over to a pod's `fsGroup`.
_HAND_OVER = "import os, sys; os.chown('/to', 0, int(sys.argv[1])); os.chmod('/to', 0o2775)"


class Volumes:
    """The volumes of one namespace. `toolbox` is an image with Peep's Python, which fills them."""

    def __init__(self, prefix: str, toolbox: str, secrets: Mapping[str, Files]) -> None:
        self.secrets = dict(secrets)
        self._prefix = prefix
        self._toolbox = toolbox
        self._of_secrets: dict[tuple[str, int, int], str] = {}
        self._of_claims: dict[str, str] = {}

    def secret(self, name: str, mode: int, group: int) -> str:
        """Return the volume with a Secret's files, of this mode, for pods with this `fsGroup`."""
        key = (name, mode, group)
        if key not in self._of_secrets:
            self._of_secrets[key] = self._new()
            self._fill(key)
        return self._of_secrets[key]

    def claim(self, name: str, group: int) -> str:
        """Return the volume of a PersistentVolumeClaim, which is one for all pods."""
        if name not in self._of_claims:
            self._of_claims[name] = self._new()
            self._in_volume(self._of_claims[name], _HAND_OVER, str(group))
        return self._of_claims[name]

    def change_secret(self, name: str, files: Files) -> None:
        """Replace a Secret's files wherever they are mounted."""
        self.secrets[name] = files
        for key in self._of_secrets:
            if key[0] == name:
                self._fill(key)

    def remove(self) -> None:
        """Remove them all; pods that use them must be gone."""
        for volume in [*self._of_secrets.values(), *self._of_claims.values()]:
            docker_result("volume", "rm", volume)

    def _new(self) -> str:
        return docker("volume", "create", f"{self._prefix}-{len(self._of_secrets) + len(self._of_claims)}")

    def _fill(self, key: tuple[str, int, int]) -> None:
        name, mode, group = key
        content = json.dumps(self.secrets[name])
        self._in_volume(self._of_secrets[key], _FILL, str(mode), str(group), content=content)

    def _in_volume(self, volume: str, script: str, *arguments: str, content: str = "") -> None:
        run = ("run", "--rm", "--interactive", "--network=none", "--user=0", f"--volume={volume}:/to")
        python = ("--entrypoint=/opt/venv/bin/python", self._toolbox, "-c", script)
        docker(*run, *python, *arguments, content=content)
