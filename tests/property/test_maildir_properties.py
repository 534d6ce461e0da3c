"""Random histories of a maildir against a plain model of it."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pop3_service.maildir import (
    FileLocation,
    Maildirs,
    MessageChanged,
    MessageFile,
    Removal,
    removal_from,
)
from pop3_service.maildir import folder as folder_module
from pop3_service.maildir.moved import MovedMessages
from pop3_service.maildir.unique_ids import unique_id_of, unique_id_of_namesake
from pop3_service.protocol.maildrop import MaildropContents, Message
from support.maildir_files import at
from support.wire_octets import octets_on_the_wire

CONTENTS = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b".", b"text"]), max_size=6).map(b"".join)
FLAGS = st.sets(st.sampled_from("DFPRST")).map(lambda flags: "".join(sorted(flags)))
WHICH = st.integers(0, 100)
STEPS = st.one_of(
    st.tuples(st.just("deliver"), CONTENTS, st.just("")),
    st.tuples(st.just("set_flags"), WHICH, FLAGS),
    st.tuples(st.just("remove"), WHICH, st.just("")),
    st.tuples(st.just("log_in"), st.just(0), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.just("")),
)
STEPS_WITH_EDITS = st.one_of(
    STEPS,
    st.tuples(st.sampled_from(["edit", "log_in"]), WHICH, st.just("")),
    st.tuples(st.just("verify"), st.just(0), st.just("")),
)


# Two messages whose listing is remembered and trusted.
TRUSTED = [
    ("deliver", b"one", ""),
    ("deliver", b"two\n", ""),
    ("log_in", 0, ""),
    ("wait", 3.0, ""),
    ("log_in", 0, ""),
]


@pytest.fixture(autouse=True, scope="module")
def server_with_coarse_ticks() -> Iterator[None]:
    """Let a folder's ctime be its mtime, which a `World` sets: nobody can set a ctime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            folder_module,
            "stamp_of",
            lambda status: (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_mtime_ns),
        )
        yield


@dataclass
class World:
    """A maildir on a file server whose clock ticks every two seconds."""

    root: Path
    seconds: float = 1000.0
    delivered: int = 0
    edits: int = 0
    edited: bytes = b""
    files: dict[bytes, tuple[Path, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in ("new", "cur"):
            (self.root / folder).mkdir()
        self.stamp(self.root / "new", self.root / "cur")

    def clock(self) -> float:
        return self.seconds

    def stamp(self, *paths: Path) -> None:
        mtime = int(self.seconds // 2 * 2)
        for path in paths:
            os.utime(path, (mtime, mtime))

    def deliver(self, content: bytes) -> None:
        self.delivered += 1
        name = f"{self.delivered}.host"
        file = self.root / "new" / name
        file.write_bytes(content)
        self.files[name.encode()] = file, content
        self.stamp(file, self.root / "new")

    def chosen(self, which: int) -> bytes | None:
        return list(self.files)[which % len(self.files)] if self.files else None

    def set_flags(self, unique_id: bytes, flags: str) -> None:
        file, content = self.files[unique_id]
        target = self.root / "cur" / f"{unique_id.decode()}:2,{flags}"
        self.files[unique_id] = file.rename(target), content
        self.stamp(file.parent, target.parent)

    def edit(self, unique_id: bytes) -> None:
        """Rewrite a file in place, which changes no folder; its mtime is one that it never had."""
        file, _ = self.files[unique_id]
        self.edits += 1
        self.edited = unique_id
        content = b"%d\n" % self.edits * (self.edits % 3)
        file.write_bytes(content)
        os.utime(file, (self.edits, self.edits))
        self.files[unique_id] = file, content

    def remove(self, unique_id: bytes) -> None:
        file, _ = self.files.pop(unique_id)
        file.unlink()
        self.stamp(file.parent)

    def listing(self) -> list[tuple[bytes, int]]:
        return [(unique_id, octets_on_the_wire(content)) for unique_id, (_, content) in self.files.items()]


def log_in(maildirs: Maildirs, root: Path) -> MaildropContents:
    contents = maildirs.remembered(at(root))
    return maildirs.scan(at(root)) if contents is None else contents


@given(st.lists(STEPS, max_size=30))
def test_every_login_shows_exactly_what_is_there(steps: list[tuple[str, object, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        maildirs = Maildirs(world.clock)
        for step, argument, flags in steps:
            take(world, step, argument, flags)
            if step == "log_in":
                contents = log_in(maildirs, world.root)
                assert [(each.unique_id, each.octets) for each in contents.messages] == world.listing()


@given(st.lists(STEPS_WITH_EDITS, max_size=40))
@example([("edit", 0, ""), ("edit", 1, ""), ("log_in", 0, "")])
@example([("edit", 0, ""), ("verify", 0, "")])
def test_what_is_announced_is_what_is_sent_or_the_next_login_lists_anew(
    steps: list[tuple[str, object, str]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name))
        maildirs = Maildirs(world.clock)
        edited: set[bytes] = set()
        for step, argument, flags in [*TRUSTED, *steps, ("log_in", 0, "")]:
            take(world, step, argument, flags)
            if step == "verify":
                maildirs.verify(at(world.root).path)
            elif step == "log_in":
                read_all(world, maildirs, edited)
            if step in ("verify", "log_in"):
                edited.clear()
            elif step == "edit" and world.edited:
                edited.add(world.edited)


def read_all(world: World, maildirs: Maildirs, edited: set[bytes]) -> None:
    """Log in and read everything; only what was `edited` since may be refused."""
    messages = log_in(maildirs, world.root).messages
    # No message is hidden, and none is shown that has gone, whatever was changed in place.
    assert [message.unique_id for message in messages] == list(world.files)
    for message in messages:
        content = world.files[message.unique_id][1]
        try:
            assert whole_content(world.root, message) == content
        except MessageChanged:
            assert message.unique_id in edited
            maildirs.doubt(at(world.root).path)
        else:
            assert message.octets == octets_on_the_wire(content)


def take(world: World, step: str, argument: object, flags: str) -> None:
    if isinstance(argument, bytes):
        world.deliver(argument)
    elif isinstance(argument, float):
        world.seconds += argument
    elif isinstance(argument, int) and (unique_id := world.chosen(argument)) is not None:
        if step == "set_flags":
            world.set_flags(unique_id, flags)
        elif step == "remove":
            world.remove(unique_id)
        elif step == "edit":
            world.edit(unique_id)


@given(st.lists(CONTENTS, min_size=1, max_size=5), st.lists(st.tuples(WHICH, FLAGS), max_size=8), WHICH)
def test_a_session_reads_and_removes_its_own_messages_wherever_they_move(
    contents: list[bytes], moves: list[tuple[int, str]], which: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for content in contents:
            world.deliver(content)
        messages = Maildirs().scan(at(world.root)).messages
        for number, flags in moves:
            world.set_flags(messages[number % len(messages)].unique_id, flags)
        for message in messages:
            assert whole_content(world.root, message) == world.files[message.unique_id][1]
        marked = messages[which % len(messages)]
        with removal_from(at(world.root), MovedMessages()) as remove:
            assert remove(marked) is Removal.REMOVED
        left = Maildirs().scan(at(world.root)).messages
        assert [each.unique_id for each in left] == [
            each.unique_id for each in messages if each is not marked
        ]


def whole_content(root: Path, message: Message) -> bytes:
    assert isinstance(message.location, FileLocation)
    with MessageFile.open(at(root), message, MovedMessages()) as file:
        pieces: list[bytes] = []
        while True:
            piece = file.read_cached(4)
            piece = file.read(4) if piece is None else piece
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


PARTS = st.binary(max_size=90).map(
    lambda part: part.replace(b":", b"").replace(b"/", b"").replace(b"\0", b"")
)


@given(PARTS, PARTS, st.integers(1, 1 << 40))
def test_a_unique_id_is_in_rfc_1939s_form_and_names_one_message(one: bytes, other: bytes, inode: int) -> None:
    names = {unique_id_of(one), unique_id_of(other), unique_id_of_namesake(one, inode)}
    assert all(1 <= len(name) <= 70 and all(0x21 <= octet <= 0x7E for octet in name) for name in names)
    assert len(names) == (2 if one == other else 3)
