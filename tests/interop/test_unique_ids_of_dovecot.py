"""Messages keep the unique-ids and the order that Debian's Dovecot gave them: real lists, real sessions."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from support.clients import lack
from support.dovecot import DovecotServer, is_installed
from support.imports import import_unique_ids
from support.old_mail import Announced, OldMaildir, announced
from support.pop3_process import Pop3Client, Pop3Process

USERS = 2
ROUNDS = 3


@pytest.fixture(autouse=True)
def _dovecot() -> None:
    if not is_installed():
        lack("Dovecot 2.3 with dovecot-pop3d")


@dataclass(frozen=True, slots=True)
class Case:
    """How Dovecot makes its unique-ids, the arguments of the import, and whether some may be another's."""

    uidl_format: str
    settings: Sequence[str] = ()
    arguments: Sequence[str] = ()
    renames: bool = False


DEFAULT = "%08Xu%08Xv"
SAVED = "pop3_save_uidl = yes"
RENAMED = "pop3_uidl_duplicates = rename"
X_UIDL = "pop3_reuse_xuidl = yes"

CASES = {
    "the default": Case(DEFAULT),
    "UIDVALIDITY and UID": Case("%v.%u", arguments=["--uidl-format", "%v.%u"]),
    "the same as Dovecot 2.4 has it": Case(
        DEFAULT, arguments=["--uidl-format", "%{uid | hex(8)}%{uidvalidity | hex(8)}"]
    ),
    "file names": Case("%f", arguments=["--uidl-format", "%f"]),
    "GUIDs": Case("%g", arguments=["--uidl-format", "%{guid}"]),
    "text around": Case("a-%Lf/%u.%04u,%2v%%", arguments=["--uidl-format", "a-%Lf/%u.%04u,%2v%%"]),
    "saved": Case("%v-%u", [SAVED]),
    "saved, and renamed where two were alike": Case(DEFAULT, [SAVED, RENAMED, X_UIDL]),
    "renamed where two are alike": Case(DEFAULT, [RENAMED, X_UIDL], ["--reuse-x-uidl"], renames=True),
}


def ask(client: Pop3Client) -> list[Announced]:
    """Return what a logged-in session lists."""
    return announced(client.ask_lines("UIDL"), client.ask_lines("LIST"))


def story(dovecot: DovecotServer, username: str, seed: int) -> tuple[OldMaildir, list[Announced]]:
    """Let a user live with Dovecot for a while; return the maildir, and what Dovecot lists at the end."""
    maildir = OldMaildir(dovecot.mail / username, seed, dovecot.hand_over)
    for _ in range(ROUNDS):
        maildir.deliver(maildir.random.randrange(6, 14))
        with Pop3Client(dovecot.address).log_in(username) as client:
            listed = ask(client)
            for number in maildir.random.sample(range(1, len(listed) + 1), len(listed) // 4):
                assert client.ask(f"DELE {number}").startswith(b"+OK")
            assert client.quit().startswith(b"+OK")
        maildir.change(3)
        maildir.remove(1)
    with Pop3Client(dovecot.address).log_in(username) as client:
        listed = ask(client)
        assert client.quit().startswith(b"+OK")
    return maildir, listed


@pytest.mark.parametrize("name", CASES)
def test_what_dovecot_announced_peep_announces_in_the_same_order(name: str, service: Pop3Process) -> None:
    case = CASES[name]
    renamed = 0
    with DovecotServer(case.uidl_format, *case.settings) as dovecot:
        for number in range(USERS):
            seed = USERS * list(CASES).index(name) + number
            maildir, listed = story(dovecot, f"user{number}", seed)
            maildir.deliver(2)  # Dovecot never sees these
            renamed += see_that_peep_announces(listed, maildir, case, service)
    assert bool(renamed) == case.renames


def see_that_peep_announces(
    listed: list[Announced], maildir: OldMaildir, case: Case, service: Pop3Process
) -> int:
    """Import into Peep, compare what it lists, and return how many messages had another's unique-id."""
    username = service.add_user()
    shutil.rmtree(service.mail / username)
    shutil.copytree(maildir.path, service.mail / username)
    result = import_unique_ids(service.mail, *case.arguments, username)
    assert result.report["source"] == "dovecot-uidlist", result.report
    assert result.report["kept"] == len(listed) > 5
    assert result.report["following"] == 2
    assert (result.exit_code == 0) == (not result.report["renamed"])
    with service.log_in(username) as client:
        assert ask(client)[:-2] == listed
    for file in (service.mail / username / "cur").iterdir():
        file.rename(file.with_name(f"{file.name}T"))
    with service.log_in(username) as client:
        assert ask(client)[:-2] == listed
    return int(result.report["renamed"])
