"""What the pages for operators tell them to type where Peep runs in containers, typed as it stands there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.containers import Containers, require_engine
from support.documentation import commands, on_ports

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

THE_MAIL = "Subject: hello\r\n\r\nThe first mail.\r\n"


@pytest.fixture
def containers() -> Iterator[Containers]:
    require_engine()
    containers = Containers()
    yield containers
    containers.remove()


def test_a_user_of_the_containers_gets_her_first_mail_and_keeps_it(
    containers: Containers, tmp_path: Path
) -> None:
    """Install, upgrade, back up, lose everything, restore: in the order of an operator's life."""

    def type_in(script: str) -> str:
        for name in ("redis.rdb", "mail.tar"):
            script = script.replace(name, str(tmp_path / name))
        return containers.run_commands(on_ports(script, containers.pop3, containers.http))

    fetch = "curl --silent --show-error pop3://alice:secret@127.0.0.1:1110/1"
    type_in(commands("install.md", "containers"))
    assert type_in(commands("install.md", "a user and a message in containers")).endswith(THE_MAIL)

    type_in(commands("upgrade.md", "upgrade of one replica"))
    assert type_in(fetch) == THE_MAIL

    type_in(commands("backup.md", "backup in containers"))
    containers.remove()
    type_in(commands("backup.md", "restore in containers"))
    assert type_in(fetch) == THE_MAIL
    # Redis has made its own of the file, and goes on with it.
    containers.compose("restart", "redis")
    containers.start()
    assert type_in(fetch) == THE_MAIL
