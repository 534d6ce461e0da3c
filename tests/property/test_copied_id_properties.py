"""Whatever a `peep-unique-ids` holds: no unique-id stands twice in a list, and none ever changes."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pop3_service.maildir import Maildirs
from pop3_service.maildir.unique_ids import unique_id_of, unique_id_of_namesake
from support.maildir_files import at

# So few that lines are about messages that are there, and that unique-ids are those of other messages.
PARTS = [b"1.a", b"2.b", b"3.c", b"4.d", b"5 e", b"6." + b"x" * 80]
FILES = st.lists(
    st.tuples(st.sampled_from(PARTS), st.sampled_from([b"new/%b", b"cur/%b:2,S", b"cur/%b:2,", b"cur/%b"])),
    max_size=8,
    unique=True,
)
UNIQUE_IDS = st.sampled_from(
    [b"", b"old", b"UID7-9", b"x" * 70, b"x" * 71, b"sp ace", b"a\xff", *PARTS]
    + [unique_id_of(part) for part in PARTS]
    + [unique_id_of_namesake(part, 1) for part in PARTS]
)
LINES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(PARTS), UNIQUE_IDS).map(b"\t".join),
        st.sampled_from([unique_id_of_namesake(part, 1) for part in PARTS]),
        st.binary(max_size=20),
    ),
    max_size=10,
)

Listed = list[tuple[int, bytes]]


def put(maildir: Path, files: Sequence[tuple[bytes, bytes]], lines: Sequence[bytes]) -> None:
    for folder in ("new", "cur"):
        (maildir / folder).mkdir()
    for number, (part, place) in enumerate(files):
        path = os.path.join(os.fsencode(maildir), place % part)
        with open(path, "wb") as file:
            file.write(b"a" * number + b"\n")
        os.utime(path, (number, number))
    (maildir / "peep-unique-ids").write_bytes(b"\n".join(lines) + b"\n")


def listed(maildir: Path) -> Listed:
    """Return the number of the file and the unique-id of each message, as a new process lists them."""
    messages = Maildirs().scan(at(maildir)).messages
    return [(message.octets - 2, message.unique_id) for message in messages]


def usable(lines: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return which part has which unique-id, by what the documentation says."""
    wanted: dict[bytes, bytes] = {}
    for line in b"\n".join(lines).split(b"\n"):
        part, tab, unique_id = line.partition(b"\t")
        is_allowed = re.fullmatch(rb"[!-~]{0,70}", unique_id) and not re.fullmatch(
            rb":[0-9a-f]{40}", unique_id
        )
        if not tab or part in wanted or part not in PARTS or b"\t" in unique_id:
            continue
        if re.fullmatch(rb"[!-~]{0,70}", unique_id):
            is_free = unique_id not in wanted.values()
            wanted[part] = unique_id if is_allowed and is_free else b""
    return wanted


@given(FILES, LINES, st.sets(st.integers(0, 7)))
def test_unique_ids_differ_and_outlive_other_messages(
    files: list[tuple[bytes, bytes]], lines: list[bytes], removed: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        maildir = Path(name)
        put(maildir, files, lines)
        before = listed(maildir)
        unique_ids = [unique_id for _, unique_id in before]
        assert len(set(unique_ids)) == len(unique_ids) == len(files)
        assert all(re.fullmatch(rb"[!-~]{1,70}", unique_id) for unique_id in unique_ids)
        for number in removed & set(range(len(files))):
            part, place = files[number]
            os.unlink(os.path.join(os.fsencode(maildir), place % part))
        left = [(number, unique_id) for number, unique_id in before if number not in removed]
        assert listed(maildir) == left


@given(st.lists(st.sampled_from(PARTS), unique=True), LINES)
def test_usable_lines_hold_in_their_order_and_come_first(parts: list[bytes], lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), [(part, b"cur/%b:2,S") for part in parts], lines)
        wanted = {part: unique_id for part, unique_id in usable(lines).items() if part in parts}
        found = listed(Path(name))
    assert [parts[number] for number, _ in found[: len(wanted)]] == list(wanted)
    for (_, unique_id), old in zip(found, wanted.values(), strict=False):
        assert not old or unique_id == old
