"""`repair-store`: cut the embedded server's append-only file where its damage begins, and keep a copy."""

from pathlib import Path

import typer

from peepctl.options import complain
from peepctl.output import say
from peepctl.server import Exit
from peepctl.up import append_only_file, repairs
from peepctl.up.directory_lock import DirectoryLock
from peepctl.up.embedded import EmbeddedServer
from peepctl.up.server_binary import find_server
from peepctl.up.settings import UpSettings
from service_runtime import settings
from service_runtime.errors import StartError


def repair(is_agreed: bool) -> Exit:
    """Repair the file once the person at the terminal has agreed; return the exit code."""
    try:
        directory = settings.load(UpSettings).directory
    except StartError as error:
        complain(str(error))
        return Exit.USAGE
    lock = DirectoryLock(directory)
    try:
        lock.acquire()
        return _repair(EmbeddedServer(directory).files, is_agreed)
    except (StartError, OSError) as error:
        complain(str(error))
        return Exit.REFUSED
    finally:
        lock.release()


def _repair(files: Path, is_agreed: bool) -> Exit:
    binary = find_server()
    damage = append_only_file.examine(binary, files)
    if damage is None:
        say(f"nothing to repair: {files} is well-formed; if it cannot be read, only a backup helps")
        return Exit.DONE
    say(f"{damage}.")
    if not is_agreed and not typer.confirm("Keep a copy of everything, and lose that?"):
        say("nothing was changed")
        return Exit.REFUSED
    copy = append_only_file.repair(binary, files, damage)
    repairs.remember(files.parent, str(damage), copy)
    say(f"repaired; {copy} keeps it as it was before")
    return Exit.DONE
