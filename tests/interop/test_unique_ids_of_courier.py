"""Messages keep the unique-ids and the order that Debian's Courier gave them: real lists, real sessions."""

import re
import shutil
from pathlib import Path

import pytest

from support.clients import lack
from support.courier import courier_session, is_unpacked
from support.imports import import_unique_ids
from support.old_mail import Announced, OldMaildir, announced
from support.pop3_process import Pop3Process

ROUNDS = 5


@pytest.fixture(autouse=True)
def _courier() -> None:
    if not is_unpacked():
        lack("Courier (make courier)")


def see_that_peep_announces(
    listed: list[Announced], maildir: OldMaildir, service: Pop3Process, *arguments: str
) -> None:
    username = service.add_user()
    shutil.rmtree(service.mail / username)
    maildir.deliver(2)  # Courier never sees these
    shutil.copytree(maildir.path, service.mail / username)
    result = import_unique_ids(service.mail, *arguments, username)
    assert (result.exit_code, result.report["kept"]) == (0, len(listed)), result.report
    assert result.report["source"] == "courierpop3dsizelist"
    for _ in range(2):
        with service.log_in(username) as client:
            assert announced(client.ask_lines("UIDL"), client.ask_lines("LIST"))[:-2] == listed
        for file in (service.mail / username / "cur").iterdir():
            file.rename(file.with_name(f"{file.name}T"))


@pytest.mark.parametrize("seed", range(3))
def test_what_courier_announced_peep_announces_in_the_same_order(
    seed: int, service: Pop3Process, tmp_path: Path
) -> None:
    maildir = OldMaildir(tmp_path / "old", seed)
    for _ in range(ROUNDS):
        maildir.deliver(maildir.random.randrange(3, 12))
        count = len(courier_session(maildir.path))
        deleted = maildir.random.sample(range(1, count + 1), count // 4)
        courier_session(maildir.path, deleted)
        maildir.change(3)
        maildir.remove(1)
    listed = courier_session(maildir.path)
    assert len(listed) > 5
    maildir.change(3)
    see_that_peep_announces(listed, maildir, service)


def test_unique_ids_that_older_versions_of_courier_gave_are_kept(
    service: Pop3Process, tmp_path: Path
) -> None:
    maildir = OldMaildir(tmp_path / "old", seed=7)
    for number, name in enumerate(["1700000000.M1P1.a'b\"c+d~", "1700000000.M2P1.b", "-5.odd", "word"]):
        (maildir.path / "cur" / f"{name}:2,S").write_text("Subject: odd\n\n" + "text\n" * number)
    maildir.deliver(5)
    courier_session(maildir.path)
    # Version 2 of the file. Without a validity numbers are from before 0.43; before that there were none.
    size_list = maildir.path / "courierpop3dsizelist"
    head, *records = size_list.read_text().splitlines()
    lines = [
        f"{record.rpartition(' ')[0]} {('0:0', f'{number}:0', f'{number}:1234567')[number % 3]}"
        for number, record in enumerate(records, 1)
    ]
    size_list.write_text("\n".join([head.replace("/3", "/2"), *lines, ""]))
    listed = courier_session(maildir.path)
    kinds = {re.sub(rb"[0-9]+", b"N", each.unique_id) for each in listed}
    assert {b"UIDN", b"UIDN-N"} < kinds
    see_that_peep_announces(listed, maildir, service)
