"""What the pages for operators tell them to type where Peep runs in containers, typed as it stands there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.containers import Containers, require_engine
from support.documentation import commands

THE_MAIL = "Subject: hello\r\n\r\nThe first mail.\r\n"
pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


class Terminal:
    """A shell in the folder of the repository, where Compose means a project of the tests'."""

    def __init__(self) -> None:
        self.containers = Containers()

    def type(self, script: str, folder: Path) -> str:
        """Return what the commands print, all of which have to succeed; files are kept in `folder`."""
        containers = self.containers
        for documented, port in (("1110", containers.pop3), ("8110", containers.http)):
            script = script.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{port}")
        for name in ("redis.rdb", "mail.tar"):
            script = script.replace(name, str(folder / name))
        return containers.run_commands(script)


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    require_engine()
    terminal = Terminal()
    yield terminal
    terminal.containers.remove()


def test_a_user_of_the_containers_gets_her_first_mail_and_keeps_it(
    terminal: Terminal, tmp_path: Path
) -> None:
    """Install, upgrade, back up, lose everything, restore: in the order of an operator's life."""
    terminal.type(commands("install.md", "containers"), tmp_path)
    printed = terminal.type(commands("install.md", "a user and a message in containers"), tmp_path)
    assert printed.endswith(THE_MAIL)

    terminal.type(commands("upgrade.md", "upgrade of one replica"), tmp_path)
    fetch = "curl --silent --show-error pop3://alice:secret@127.0.0.1:1110/1"
    assert terminal.type(fetch, tmp_path) == THE_MAIL

    terminal.type(commands("backup.md", "backup in containers"), tmp_path)
    terminal.containers.remove()
    terminal.type(commands("backup.md", "restore in containers"), tmp_path)
    assert terminal.type(fetch, tmp_path) == THE_MAIL
    # Redis has made its own of the file, and goes on with it.
    terminal.containers.compose("restart", "redis")
    terminal.containers.start()
    assert terminal.type(fetch, tmp_path) == THE_MAIL
