"""Two files whose names have one unique part: two messages, each with its unique-id for good."""

import os
import stat
from pathlib import Path

from pop3_service.maildir import Maildirs
from pop3_service.protocol.maildrop import MaildropContents
from support.maildir_files import at, deliver, ordinary_user, scan, unique_ids


def by_octets(contents: MaildropContents) -> dict[int, bytes]:
    return {message.octets: message.unique_id for message in contents.messages}


def namesakes(maildir: Path, later_seconds: int = 1000) -> tuple[Path, Path, bytes]:
    """Deliver two files with one unique part; return the one with the plain unique-id, the other, and its."""
    first = deliver(maildir, "1.a:2,", b"old\n", folder="cur")
    second = deliver(maildir, "1.a", b"younger\n")
    os.utime(first, (5000, 5000))
    os.utime(second, (5000 + later_seconds,) * 2)
    ids = by_octets(scan(maildir))
    assert ids[5] == b"1.a"
    return first, second, ids[9]


def test_the_other_of_two_files_with_one_unique_part_keeps_its_unique_id_when_one_goes(maildir: Path) -> None:
    first, second, own = namesakes(maildir)
    first.unlink()
    assert unique_ids(scan(maildir)) == [own]
    second.rename(maildir / "cur" / "1.a:2,S")
    assert unique_ids(scan(maildir)) == [own]


def test_the_first_of_two_files_with_one_unique_part_keeps_the_plain_unique_id(maildir: Path) -> None:
    first, second, _ = namesakes(maildir)
    second.unlink()
    assert unique_ids(scan(maildir)) == [b"1.a"]
    assert first.exists()


def test_a_third_file_with_that_unique_part_takes_nobodys_unique_id(maildir: Path) -> None:
    first, _, own = namesakes(maildir)
    first.unlink()
    third = deliver(maildir, "1.a:2,S", b"the third\n", folder="cur")
    os.utime(third, (1, 1))
    ids = by_octets(scan(maildir))
    assert ids == {9: own, 11: b"1.a"}


def test_an_older_file_does_not_take_the_unique_id_of_one_that_had_it(maildir: Path) -> None:
    maildirs = Maildirs()
    deliver(maildir, "1.a:2,", b"old\n", folder="cur")
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]
    restored = deliver(maildir, "1.a", b"restored\n")
    os.utime(restored, (1, 1))
    contents = maildirs.scan(at(maildir))
    ids = by_octets(contents)
    assert ids[5] == b"1.a"
    contents = scan(maildir)  # what was decided holds for other processes
    assert by_octets(contents) == ids


def test_only_a_maildir_with_two_such_files_is_written_to(maildir: Path) -> None:
    deliver(maildir, "1.a:2,S", folder="cur")
    os.link(maildir / "cur" / "1.a:2,S", maildir / "new" / "1.a")
    scan(maildir)
    assert sorted(path.name for path in maildir.iterdir()) == ["cur", "new"]
    for name in ("new/1.a", "cur/1.a:2,S"):
        (maildir / name).unlink()
    _, _, own = namesakes(maildir)
    assert (maildir / "peep-unique-ids").read_bytes() == own + b"\n"
    assert stat.S_IMODE((maildir / "peep-unique-ids").stat().st_mode) == 0o600
    scan(maildir)
    assert (maildir / "peep-unique-ids").read_bytes() == own + b"\n"


def test_a_link_in_place_of_the_noted_unique_ids_is_not_followed(maildir: Path) -> None:
    target = maildir / "target"
    target.write_bytes(b"")
    (maildir / "peep-unique-ids").symlink_to(target)
    first, _, own = namesakes(maildir)
    assert target.read_bytes() == b""
    target.write_bytes(own + b"\n")
    first.unlink()
    assert unique_ids(scan(maildir)) == [b"1.a"]  # it cannot be noted: as long as both are there


def test_a_maildir_that_cannot_be_written_to_is_served() -> None:
    with ordinary_user() as folder:
        deliver(folder, "1.a:2,S", b"old\n", folder="cur")
        deliver(folder, "1.a", b"younger\n")
        folder.chmod(0o500)
        assert len(set(unique_ids(scan(folder)))) == 2


def test_a_file_of_somebody_else_in_place_of_the_notes_is_not_written_to(maildir: Path) -> None:
    foreign = deliver(maildir, "foreign", b"", folder="..")
    (maildir / "peep-unique-ids").hardlink_to(foreign)
    namesakes(maildir)
    assert foreign.read_bytes() == b""
