"""Write build/deb/peep_VERSION_ARCHITECTURE.deb: Peep in its own environment, for this Debian's Python.

`make deb` runs it by /usr/bin/python3, on which the package then depends. DEB_VERSION is the package's
version; without one it is the project's, with the commit's date and name unless that is tagged as it.
Outside of a git checkout set SOURCE_DATE_EPOCH and DEB_VERSION. The same commit gives the same package on
hosts with the same Debian.
"""

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from email.utils import formatdate
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "deploy" / "debian"
UNITS = ROOT / "deploy" / "systemd"
WORK = ROOT / "build" / "deb"
BUILDER = WORK / "builder"
TREE = WORK / "tree"
ENVIRONMENT = TREE / "usr/lib/peep"
DOCUMENTS = TREE / "usr/share/doc/peep"

INTERPRETER = Path("/usr/bin/python3")
NEEDLESS = {".pyx", ".pxd", ".c", ".h"}
NEEDED_PROGRAMS = {"dpkg-shlibdeps": "dpkg-dev", "strip": "binutils", "gcc": "gcc", "pip3": "python3-pip"}

MAINTAINER = "The Peep developers <maintainers@users.noreply.peep.example>"

CONTROL = """\
Package: peep
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {kibibytes}
Depends: {depends}
Suggests: default-mta | mail-transport-agent
Section: mail
Priority: optional
Description: POP3 server that operators can watch and change while it runs
 Peep serves Maildirs that Postfix, Exim or Dovecot fill. Its administrators see
 sessions, users and limits and change them without a restart, by a dashboard,
 HTTP, a line protocol or the command peepctl.
 .
 It brings its Python packages below /usr/lib/peep, listens on ports 110 and
 995, and keeps its state in a redis-server or valkey-server of its own.
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Peep
Comment: The packages of others below /usr/lib/peep/lib come as they are published,
 each with its licence in its folder *.dist-info.

Files: *
{license}
"""


def main() -> int:
    """Write the package, and return the exit code."""
    if missing := sorted(package for name, package in NEEDED_PROGRAMS.items() if not shutil.which(name)):
        print(f"make deb runs on Debian only, and needs: apt install {' '.join(missing)}", file=sys.stderr)
        return 1
    shutil.rmtree(TREE, ignore_errors=True)
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or _run("git", "log", "-1", "--format=%ct"))
    os.environ |= {"SOURCE_DATE_EPOCH": str(moment), "PYTHONHASHSEED": "0"}
    version = os.environ.get("DEB_VERSION") or _version(moment)
    install_environment()
    install_files(version, moment)
    package = pack(version)
    print(package.relative_to(ROOT))
    return 0


def install_environment() -> None:
    """Install Peep and what it needs into `ENVIRONMENT`, as it will work from /usr/lib/peep."""
    for environment in (BUILDER, ENVIRONMENT):
        _run(str(INTERPRETER), "-m", "venv", "--without-pip", "--clear", str(environment))
    _pip(BUILDER, "install", "--require-hashes", "-r", "requirements-build.lock")
    wheels = WORK / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    _pip(BUILDER, "wheel", "--no-build-isolation", "--no-deps", f"--wheel-dir={wheels}", ".")
    (wheel,) = wheels.iterdir()
    if wheel.name.endswith("-none-any.whl"):
        sys.exit("the module in C is not compiled: apt install gcc python3-dev")
    _pip(ENVIRONMENT, "install", "--no-compile", "--require-hashes", "-r", "requirements-package.lock")
    _pip(ENVIRONMENT, "install", "--no-compile", "--no-deps", str(wheel))
    _remove_traces()
    _write_commands()


def _pip(environment: Path, *arguments: str) -> None:
    pip = (str(INTERPRETER), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
    _run(*pip, "--python", str(environment / "bin/python3"), *arguments)


def _remove_traces() -> None:
    """Remove what names this build's folder, what only compilers need, and commands of libraries."""
    settings = ENVIRONMENT / "pyvenv.cfg"
    settings.write_text(re.sub(r"^command = .*\n", "", settings.read_text(), flags=re.MULTILINE))
    for path in sorted(ENVIRONMENT.rglob("*")):
        if path.suffix in NEEDLESS or path.name in {"direct_url.json", "__pycache__"} or _is_command(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        elif path.suffix == ".so" or ".so." in path.name:
            _run("strip", "--strip-unneeded", str(path))
    shutil.rmtree(ENVIRONMENT / "include", ignore_errors=True)
    for record in ENVIRONMENT.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        lines = record.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not re.match(r"\.\./\.\./\.\./bin/|\S+/direct_url\.json,", line)]
        record.write_text("".join(kept), "utf-8")


def _is_command(path: Path) -> bool:
    return path.parent == ENVIRONMENT / "bin" and not path.name.startswith("python")


def _write_commands() -> None:
    (metadata,) = ENVIRONMENT.glob("lib/python3*/site-packages/peep-*.dist-info/entry_points.txt")
    entry_points = configparser.ConfigParser()
    entry_points.read(metadata)
    for name, place in entry_points["console_scripts"].items():
        module, _, function = place.partition(":")
        # Isolated: neither the user's variables nor the current folder say what is imported.
        _write(
            ENVIRONMENT / "bin" / name,
            "#!/usr/lib/peep/bin/python3 -I\n"
            f"import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n",
        ).chmod(0o755)


def install_files(version: str, moment: int) -> None:
    """Put everything else in its place: units, settings, documents, completions of shells."""
    units = [*UNITS.glob("*.service"), *UNITS.glob("*.socket"), *UNITS.glob("*.target")]
    for unit in (*units, SOURCES / "peep-store.service"):
        _copy(unit, f"usr/lib/systemd/system/{unit.name}")
    _copy(SOURCES / "sysusers.conf", "usr/lib/sysusers.d/peep.conf")
    _copy(SOURCES / "lintian-overrides", "usr/share/lintian/overrides/peep")
    _copy(SOURCES / "peep.env", "etc/peep/peep.env").chmod(0o640)
    command = TREE / "usr/bin/peepctl"
    command.parent.mkdir(parents=True)
    command.symlink_to("../lib/peep/bin/peepctl")
    for shell, place in (
        ("bash", "bash-completion/completions/peepctl"),
        ("zsh", "zsh/vendor-completions/_peepctl"),
        ("fish", "fish/vendor_completions.d/peepctl.fish"),
    ):
        _write(TREE / "usr/share" / place, _completion(shell))
    _write_documents(version, moment)


def _completion(shell: str) -> str:
    python = str(ENVIRONMENT / "bin/python3")
    return _run(python, "-I", "-B", str(ENVIRONMENT / "bin/peepctl"), "--show-completion", shell)


def _write_documents(version: str, moment: int) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        _copy(page, DOCUMENTS / page.name)
    _copy(ROOT / "CHANGELOG.md", DOCUMENTS / "NEWS.md")
    license_lines = (ROOT / "LICENSE").read_text().strip().splitlines()
    (holder,) = (line for line in license_lines if line.startswith("Copyright"))
    text = "\n".join(f" {line}" if line else " ." for line in license_lines[4:])
    license_text = f"{holder.replace(' (c)', ':')}\nLicense: Expat\n{text}"
    _write(DOCUMENTS / "copyright", COPYRIGHT.format(license=license_text))
    date = formatdate(moment)
    changes = (
        f"peep ({version}) unstable; urgency=medium\n\n  * See NEWS.md.gz.\n\n -- {MAINTAINER}  {date}\n"
    )
    _zip(_write(DOCUMENTS / "changelog", changes))
    _zip(DOCUMENTS / "NEWS.md")
    _zip(_copy(SOURCES / "peepctl.1", "usr/share/man/man1/peepctl.1"))


def pack(version: str) -> Path:
    """Write the package from `TREE`, and return its path."""
    interpreter = ENVIRONMENT / "bin/python3"
    interpreter.unlink()
    interpreter.symlink_to("../../../bin/python3")
    control = TREE / "DEBIAN"
    control.mkdir()
    for path in TREE.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else path.stat().st_mode & 0o644)
    files = sorted(path for path in TREE.rglob("*") if path.is_file() and not path.is_symlink())
    architecture = _run("dpkg", "--print-architecture").strip()
    fields = {
        "version": version,
        "architecture": architecture,
        "maintainer": MAINTAINER,
        "kibibytes": sum(path.stat().st_size // 1024 + 1 for path in files),
        "depends": _dependencies(),
    }
    _write(control / "control", CONTROL.format(**fields))
    _write(control / "conffiles", "/etc/peep/peep.env\n")
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(TREE)}\n" for path in files)  # noqa: S324
    _write(control / "md5sums", "".join(sums))
    for script in ("postinst", "prerm", "postrm"):
        _copy(SOURCES / script, control / script).chmod(0o755)
    package = WORK / f"peep_{version}_{architecture}.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(TREE), str(package))
    return package


def _dependencies() -> str:
    """Return what has to be installed: this Python, the C library of what is compiled, a store, and tools."""
    minor = sys.version_info.minor
    python = [f"python3 (>= 3.{minor}~)", f"python3 (<< 3.{minor + 1}~)"]
    _write(WORK / "debian/control", "Source: peep\n\nPackage: peep\nArchitecture: any\n")
    compiled = [str(path) for path in ENVIRONMENT.rglob("*.so*")]
    libraries = _run(
        "dpkg-shlibdeps", "-O", "--warnings=0", "--ignore-missing-info", "-xpeep", *compiled, folder=WORK
    )
    found = libraries.strip().removeprefix("shlibs:Depends=")
    tools = ["redis-server | valkey-server", "systemd", "openssl"]
    return ", ".join([*python, found, *tools])


def _version(moment: int) -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = str(tomllib.load(file)["project"]["version"])
    if f"v{version}" in _run("git", "tag", "--points-at", "HEAD").split():
        return version
    # Before the release of this version, which replaces it.
    day = time.strftime("%Y%m%d%H%M%S", time.gmtime(moment))
    return f"{version}~git{day}.{_run('git', 'rev-parse', '--short', 'HEAD').strip()}"


def _copy(source: Path, place: str | Path) -> Path:
    return _write(TREE / place, source.read_text("utf-8"))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def _zip(path: Path) -> None:
    _run("gzip", "-9n", str(path))


def _run(*command: str, folder: Path = ROOT) -> str:
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
