"""What a scan of a maildir finds, and how long it may be remembered."""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from pop3_service.maildir import (
    FileIdentity,
    FileLocation,
    Maildir,
    Maildirs,
    MaildirUnreadable,
    MessageFile,
    MovedMessages,
    wire,
)
from pop3_service.maildir import folder as folder_module
from pop3_service.maildir import octets as octets_module
from pop3_service.maildir.folder import Folder
from pop3_service.maildir.octets import CHUNK_OCTETS, counted_octets
from pop3_service.maildir.remembered import GRAIN_SECONDS
from pop3_service.protocol import maildrop
from pop3_service.protocol.maildrop import SMALL_MAILDROP, MaildropContents
from support.maildir_files import at, deliver, ordinary_user, scan, unique_ids
from support.stopped_clock import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def maildirs(clock: StoppedClock) -> Maildirs:
    return Maildirs(clock)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "alice" / folder).mkdir(parents=True)
    return tmp_path / "alice"


def octets(contents: MaildropContents) -> list[int]:
    return [message.octets for message in contents.messages]


def trust(maildirs: Maildirs, maildir: Path, clock: StoppedClock) -> MaildropContents:
    """Scan twice, far enough apart for the second scan to be remembered."""
    maildirs.scan(at(maildir))
    clock.seconds += GRAIN_SECONDS
    return maildirs.scan(at(maildir))


# What is a message


def test_messages_of_both_folders_are_found(maildir: Path) -> None:
    deliver(maildir, "2.b", b"b\r\n")
    deliver(maildir, "1.a:2,S", b"aa\n", folder="cur")
    deliver(maildir, "3.c", folder="tmp")
    contents = scan(maildir)
    assert unique_ids(contents) == [b"1.a", b"2.b"]
    assert octets(contents) == [4, 3]


def test_a_message_knows_its_file(maildir: Path) -> None:
    status = deliver(maildir, "1.a:2,S", b"aa\n", folder="cur").stat()
    identity = FileIdentity(status.st_dev, status.st_ino, status.st_mtime_ns, 3)
    assert scan(maildir).messages[0].location == FileLocation(b"cur", b"1.a:2,S", identity)


def test_a_missing_maildir_is_an_empty_maildrop(tmp_path: Path) -> None:
    assert scan(tmp_path / "nobody").messages == ()


@pytest.mark.parametrize("missing", ["new", "cur"])
def test_a_missing_folder_hides_nothing_of_the_other(maildir: Path, missing: str) -> None:
    (maildir / missing).rmdir()
    deliver(maildir, "1.a", folder="cur" if missing == "new" else "new")
    assert unique_ids(scan(maildir)) == [b"1.a"]


def test_a_file_in_place_of_the_maildir_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "alice").write_bytes(b"")
    with pytest.raises(MaildirUnreadable) as caught:
        scan(tmp_path / "alice")
    assert str(tmp_path) not in str(caught.value)


def test_a_file_in_place_of_a_folder_is_unreadable(maildir: Path) -> None:
    (maildir / "cur").rmdir()
    (maildir / "cur").write_bytes(b"")
    with pytest.raises(MaildirUnreadable):
        scan(maildir)


def test_a_folder_that_leads_to_somebody_elses_mail_is_not_followed(maildir: Path, tmp_path: Path) -> None:
    (tmp_path / "bob" / "cur").mkdir(parents=True)
    deliver(tmp_path / "bob", "1.secret", folder="cur")
    (maildir / "cur").rmdir()
    (maildir / "cur").symlink_to(tmp_path / "bob" / "cur")
    with pytest.raises(MaildirUnreadable):
        scan(maildir)


def test_names_with_a_dot_in_front_are_skipped(maildir: Path) -> None:
    deliver(maildir, ".nfs0001")
    deliver(maildir, "1.a")
    assert unique_ids(scan(maildir)) == [b"1.a"]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(make_socket, id="socket"),
        pytest.param(Path.mkdir, id="folder"),
        pytest.param(lambda path: path.symlink_to(path.parent / "1.a"), id="link to a message"),
        pytest.param(lambda path: path.symlink_to("nowhere"), id="dangling link"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="link to a device"),
    ],
)
@pytest.mark.timeout(10)
def test_only_regular_files_are_messages(
    maildir: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a")
    monkeypatch.chdir(maildir / "new")  # A socket's path is limited to about 100 octets.
    make(Path("2.b"))
    maildirs = Maildirs()
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]
    assert maildirs.unreadable_messages(at(maildir)) == 0


@pytest.mark.timeout(10)
def test_a_fifo_that_takes_the_place_of_a_listed_file_cannot_hang(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = deliver(maildir, "1.a")
    deliver(maildir, "2.b")
    real_open = Folder.open

    def swap_then_open(folder: Folder, name: bytes) -> int:
        if name == b"1.a" and file.is_file():
            file.unlink()
            os.mkfifo(file)
        return real_open(folder, name)

    monkeypatch.setattr(Folder, "open", swap_then_open)
    assert unique_ids(scan(maildir)) == [b"2.b"]


# Order and unique-ids


def test_the_order_is_by_timestamp_then_by_name(maildir: Path) -> None:
    for name in ("10.a", "9.z", "9.b", "zero", "1000000000000.c"):
        deliver(maildir, name, folder="cur" if name == "9.b" else "new")
    assert unique_ids(scan(maildir)) == [b"zero", b"9.b", b"9.z", b"10.a", b"1000000000000.c"]


def test_a_move_to_cur_and_every_flag_keep_the_unique_id(maildir: Path) -> None:
    file = deliver(maildir, "1.a,S=99")
    for name in ("1.a,S=99:2,", "1.a,S=99:2,S", "1.a,S=99:2,RST"):
        file = file.rename(maildir / "cur" / name)
        assert unique_ids(scan(maildir)) == [b"1.a,S=99"]


def test_seventy_octets_are_a_unique_id_and_seventy_one_are_encoded(maildir: Path) -> None:
    deliver(maildir, "1." + "x" * 68)
    deliver(maildir, "2." + "x" * 69)
    fits, encoded = unique_ids(scan(maildir))
    assert fits == b"1." + b"x" * 68
    assert len(encoded) <= 70
    assert encoded.startswith(b":")


@pytest.mark.parametrize("name", ["1.with space", "1.tab\t", "1.\x7f", "1.é", ":2,S"])
def test_a_name_outside_rfc_1939s_alphabet_is_encoded_the_same_for_ever(maildir: Path, name: str) -> None:
    file = deliver(maildir, name)
    (unique_id,) = unique_ids(scan(maildir))
    assert 1 <= len(unique_id) <= 70
    assert all(0x21 <= octet <= 0x7E for octet in unique_id)
    file.rename(maildir / "cur" / (name.split(":")[0] + ":2,S"))
    assert unique_ids(scan(maildir)) == [unique_id]


def test_a_name_that_is_not_utf_8_is_a_message(maildir: Path) -> None:
    path = os.fsencode(maildir) + b"/new/1.\xff\xfe"
    try:
        with open(path, "wb") as file:
            file.write(b"a\n")
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        pytest.skip("this file system takes names in UTF-8 only")
    (message,) = scan(maildir).messages
    assert isinstance(message.location, FileLocation)
    assert message.location.name == b"1.\xff\xfe"
    assert message.octets == 3


def test_a_name_that_looks_encoded_does_not_collide(maildir: Path) -> None:
    deliver(maildir, "1.with space")
    (encoded,) = unique_ids(scan(maildir))
    deliver(maildir, encoded.decode().removeprefix(":"))
    assert len(set(unique_ids(scan(maildir)))) == 2


@pytest.mark.parametrize("seen_first", ["new", "cur"])
def test_one_file_in_both_folders_is_one_message_in_cur(maildir: Path, seen_first: str) -> None:
    file = deliver(maildir, "1.a" if seen_first == "new" else "1.a:2,S", folder=seen_first)
    os.link(file, maildir / ("cur/1.a:2,S" if seen_first == "new" else "new/1.a"))
    (message,) = scan(maildir).messages
    assert message.unique_id == b"1.a"
    assert isinstance(message.location, FileLocation)
    assert message.location.folder == b"cur"


def test_two_files_with_one_unique_part_have_two_unique_ids_that_stay(maildir: Path) -> None:
    old = deliver(maildir, "1.a:2,", b"old\n", folder="cur")
    young = deliver(maildir, "1.a", b"younger\n")
    os.utime(old, (1000, 1000))
    os.utime(young, (2000, 2000))
    by_octets = dict(zip(octets(scan(maildir)), unique_ids(scan(maildir)), strict=True))
    assert by_octets[5] == b"1.a"
    assert by_octets[9] != b"1.a"

    old.rename(maildir / "cur" / "1.a:2,T")
    young.rename(maildir / "cur" / "1.a:2,S")
    contents = scan(maildir)
    assert dict(zip(octets(contents), unique_ids(contents), strict=True)) == by_octets


# Octets


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", 0), (b"a\nb\n", 6), (b"a\r\nb\r\n", 6), (b"a\r\nb\n", 6), (b"a\nb", 6), (b".\n", 3)],
)
def test_octets_are_those_on_the_wire(maildir: Path, content: bytes, expected: int) -> None:
    deliver(maildir, "1.a", content)
    assert octets(scan(maildir)) == [expected]


def test_a_names_lying_sizes_are_never_believed(maildir: Path) -> None:
    deliver(maildir, "1.a,S=5000,W=6000:2,S", b"a\nb\n", folder="cur")
    assert octets(scan(maildir)) == [6]


def test_a_file_larger_than_the_window_is_counted_whole(maildir: Path) -> None:
    # A CRLF lies across the window's edge, and a bare LF just behind another.
    content = b"x" * (CHUNK_OCTETS - 1) + b"\r\n" + b"y" * (CHUNK_OCTETS - 1) + b"\nend"
    deliver(maildir, "1.a", content)
    assert octets(scan(maildir)) == [len(content) + 3]


def test_a_file_as_long_as_the_window_is_counted_whole(maildir: Path) -> None:
    deliver(maildir, "1.a", b"x" * (CHUNK_OCTETS - 1) + b"\n")
    assert octets(scan(maildir)) == [CHUNK_OCTETS + 1]


@pytest.mark.parametrize(
    ("content", "plain"),
    [(b"a\n\nb\n", True), (b"a\r\n", False), (b"a\n.b\n", False), (b".a\n", False), (b"", True)],
)
def test_a_message_is_plain_when_only_its_line_ends_differ_on_the_wire(
    maildir: Path, content: bytes, plain: bool
) -> None:
    deliver(maildir, "1.a", content)
    (message,) = scan(maildir).messages
    assert message.is_plain is plain


def test_a_message_too_long_to_be_sent_whole_is_not_called_plain(maildir: Path) -> None:
    deliver(maildir, "1.a", b"x\n" * CHUNK_OCTETS)
    (message,) = scan(maildir).messages
    assert not message.is_plain


def test_a_file_other_than_the_listed_one_is_not_counted(maildir: Path) -> None:
    listed = deliver(maildir, "1.a", b"abc\n").stat()
    other = deliver(maildir, "2.b", b"abc\n")
    with other.open("rb") as opened:
        assert counted_octets(opened.fileno(), FileIdentity.of(listed)) is None


def test_what_is_no_file_is_not_counted(maildir: Path) -> None:
    listed = deliver(maildir, "1.a", b"abc\n").stat()
    os.mkfifo(maildir / "fifo")
    for path in (maildir / "fifo", maildir):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert counted_octets(descriptor, FileIdentity.of(listed)) is None
        finally:
            os.close(descriptor)


def test_octets_of_a_file_that_changes_while_it_is_counted_are_not_known(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = deliver(maildir, "1.a", b"abc\n")
    os.utime(file, (1000, 1000))
    real_count = wire.count_wire

    def count_then_rewrite(
        descriptor: int, position: int, count: int, before: int
    ) -> tuple[int, int, int, bool]:
        counted = real_count(descriptor, position, count, before)
        file.write_bytes(b"\n\n\n\n")
        return counted

    with file.open("rb") as opened:
        identity = FileIdentity.of(os.fstat(opened.fileno()))
        assert counted_octets(opened.fileno(), identity) == (5, True)
        monkeypatch.setattr(octets_module, "count_wire", count_then_rewrite)
        assert counted_octets(opened.fileno(), identity) is None


@pytest.mark.parametrize(
    ("change", "is_same_file"),
    [({"st_dev": 9}, False), ({"st_ino": 9}, False), ({"st_mtime_ns": 9}, True), ({"st_size": 9}, True)],
)
def test_each_part_of_the_identity_counts(change: dict[str, int], is_same_file: bool) -> None:
    fields = {"st_dev": 1, "st_ino": 2, "st_mtime_ns": 3, "st_size": 4}
    identity = FileIdentity(1, 2, 3, 4)
    same = cast(os.stat_result, SimpleNamespace(**fields))
    changed = cast(os.stat_result, SimpleNamespace(**fields | change))
    assert identity.is_unchanged(same)
    assert not identity.is_unchanged(changed)
    assert identity.is_same_file(changed) is is_same_file


def rewrite_in_place(file: Path) -> None:
    with file.open("r+b") as opened:  # with the same size: only the mtime tells
        opened.write(b"\n\n\n\n")


def append(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more\n")


@pytest.mark.parametrize(("change", "expected"), [(rewrite_in_place, 8), (append, 11)])
@pytest.mark.parametrize("is_noticed", ["where it is opened", "by the verification"])
def test_a_file_changed_in_place_is_counted_anew_once_that_is_noticed(
    maildir: Path,
    maildirs: Maildirs,
    clock: StoppedClock,
    change: Callable[[Path], None],
    expected: int,
    is_noticed: str,
) -> None:
    file = deliver(maildir, "1.a", b"abc\n")
    os.utime(file, (1000, 1000))
    contents = trust(maildirs, maildir, clock)
    change(file)
    # No folder has changed: a login looks at nothing else.
    assert maildirs.remembered(at(maildir)) is contents
    assert maildirs.scan(at(maildir)) is contents
    if is_noticed == "by the verification":
        maildirs.verify(at(maildir).path)
    else:
        maildirs.doubt(at(maildir).path)
    assert maildirs.remembered(at(maildir)) is None
    assert octets(maildirs.scan(at(maildir))) == [expected]
    assert maildirs.remembered(at(maildir)) is not None


def test_an_unchanged_file_is_not_read_again(
    maildir: Path, maildirs: Maildirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a", b"abc\n")
    deliver(maildir, "2.b", b"abc\n")
    maildirs.scan(at(maildir))
    (maildir / "new" / "2.b").rename(maildir / "cur" / "2.b:2,S")
    deliver(maildir, "3.c", b"abc\n")
    opened: list[bytes] = []
    real_open = Folder.open

    def note_then_open(folder: Folder, name: bytes) -> int:
        opened.append(name)
        return real_open(folder, name)

    monkeypatch.setattr(Folder, "open", note_then_open)
    assert octets(maildirs.scan(at(maildir))) == [5, 5, 5]
    assert opened == [b"3.c"]


def test_a_new_message_on_a_used_inode_is_counted_anew(maildir: Path, maildirs: Maildirs) -> None:
    file = deliver(maildir, "1.a", b"abc\n")
    os.utime(file, (1000, 1000))
    assert octets(maildirs.scan(at(maildir))) == [5]
    # The same device, inode, mtime and size as the file before, under the name of another message.
    file.write_bytes(b"\n\n\n\n")
    file = file.rename(maildir / "new" / "2.b")
    os.utime(file, (1000, 1000))
    assert octets(maildirs.scan(at(maildir))) == [8]


@pytest.mark.parametrize(("messages", "are_rendered"), [(3, False), (SMALL_MAILDROP + 1, True)])
def test_the_listings_of_a_big_maildrop_are_rendered_by_the_scan(
    maildir: Path, maildirs: Maildirs, messages: int, are_rendered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(messages):
        deliver(maildir, f"{number}.a")
    contents = maildirs.scan(at(maildir))
    rendered: list[bytes] = []

    def numbered(line: bytes, values: Sequence[object]) -> list[bytes]:
        rendered.append(line)
        return []

    monkeypatch.setattr(maildrop, "_numbered", numbered)
    assert len(contents.scan_listing + contents.unique_id_listing) > 0
    assert (not rendered) is are_rendered


# Disturbed scans


def test_a_message_that_moves_to_cur_after_the_listing_is_found(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a", b"abc\n")
    deliver(maildir, "2.b", b"abc\n")
    real_status = Folder.status

    def move_then_look(folder: Folder, name: bytes) -> os.stat_result:
        if name == b"1.a" and (maildir / "new" / "1.a").exists():
            (maildir / "new" / "1.a").rename(maildir / "cur" / "1.a:2,")
        return real_status(folder, name)

    monkeypatch.setattr(Folder, "status", move_then_look)
    assert unique_ids(scan(maildir)) == [b"1.a", b"2.b"]


def test_a_message_whose_status_cannot_be_read_fails_the_scan(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a")
    real_status = Folder.status

    def fail(folder: Folder, name: bytes) -> os.stat_result:
        if name == b"1.a":
            raise OSError(errno.EIO, "a failing disk")
        return real_status(folder, name)

    monkeypatch.setattr(Folder, "status", fail)
    with pytest.raises(MaildirUnreadable):
        scan(maildir)


def test_a_message_that_moves_before_it_is_counted_is_found(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a", b"abc\n")
    real_open = Folder.open

    def move_then_open(folder: Folder, name: bytes) -> int:
        if folder.name == b"new":
            (maildir / "new" / "1.a").rename(maildir / "cur" / "1.a:2,")
        return real_open(folder, name)

    monkeypatch.setattr(Folder, "open", move_then_open)
    assert octets(scan(maildir)) == [5]


def test_a_message_that_arrives_during_the_listing_is_found(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(maildir / "cur", (1000, 1000))
    real_names = Folder.names

    def list_then_deliver(folder: Folder) -> list[bytes]:
        names = real_names(folder)
        deliver(maildir, "1.a:2,", folder="cur")
        return names

    monkeypatch.setattr(Folder, "names", list_then_deliver)
    assert unique_ids(scan(maildir)) == [b"1.a"]


def test_a_message_that_vanishes_is_not_there(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(maildir, "1.a")
    deliver(maildir, "2.b")
    real_open = Folder.open

    def remove_then_open(folder: Folder, name: bytes) -> int:
        (maildir / "new" / "1.a").unlink(missing_ok=True)
        return real_open(folder, name)

    monkeypatch.setattr(Folder, "open", remove_then_open)
    assert unique_ids(scan(maildir)) == [b"2.b"]


def test_a_maildir_that_is_never_quiet_is_scanned_to_an_end(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_names = Folder.names
    arrivals = iter(range(1, 1000))

    def list_then_deliver(folder: Folder) -> list[bytes]:
        names = real_names(folder)
        deliver(maildir, f"{next(arrivals)}.a")
        return names

    monkeypatch.setattr(Folder, "names", list_then_deliver)
    assert 1 <= len(scan(maildir).messages) < 1000


def test_a_file_that_somebody_is_writing_to_waits_for_the_next_scan(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = deliver(maildir, "1.a")
    real_open = Folder.open

    def grow_then_open(folder: Folder, name: bytes) -> int:
        with file.open("ab") as opened:
            opened.write(b"more\n")
        return real_open(folder, name)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "open", grow_then_open)
        assert trust(maildirs, maildir, clock).messages == ()
    assert maildirs.remembered(at(maildir)) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]


PASSING_TROUBLE = [errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EIO, errno.ENOSPC]


def failing(number: int) -> Callable[[Folder, bytes], NoReturn]:
    """Return what fails as the system does with this number."""

    def fail(folder: Folder, name: bytes) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["status", "open", "names"])
@pytest.mark.parametrize("number", PASSING_TROUBLE)
def test_passing_trouble_hides_no_message_but_fails_the_scan_for_now(
    maildir: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    deliver(maildir, "1.a")
    fail = failing(number)
    monkeypatch.setattr(Folder, call, lambda folder, name=b"": fail(folder, name))
    with pytest.raises(MaildirUnreadable) as caught:
        scan(maildir)
    assert caught.value.is_temporary


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTDIR])
def test_what_only_an_operator_can_mend_is_lasting(
    maildir: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    deliver(maildir, "1.a")
    fail = failing(number)
    monkeypatch.setattr(Folder, "names", lambda folder: fail(folder, b""))
    with pytest.raises(MaildirUnreadable) as caught:
        scan(maildir)
    assert not caught.value.is_temporary


def test_a_handle_that_a_file_server_has_forgotten_is_asked_for_anew(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a")
    real_open, answers = Folder.open, iter([errno.ESTALE])

    def forget_once(folder: Folder, name: bytes) -> int:
        for number in answers:
            failing(number)(folder, name)
        return real_open(folder, name)

    monkeypatch.setattr(Folder, "open", forget_once)
    assert unique_ids(scan(maildir)) == [b"1.a"]


# Permissions


def test_an_unreadable_message_is_left_out_and_counted() -> None:
    maildirs = Maildirs()
    with ordinary_user() as maildir:
        deliver(maildir, "1.a").chmod(0)
        deliver(maildir, "2.b")
        assert unique_ids(maildirs.scan(at(maildir))) == [b"2.b"]
        assert maildirs.unreadable_messages(at(maildir)) == 1


def test_a_message_that_becomes_readable_shows_at_the_next_login(
    clock: StoppedClock, maildirs: Maildirs
) -> None:
    with ordinary_user() as maildir:
        file = deliver(maildir, "1.a")
        file.chmod(0)
        assert trust(maildirs, maildir, clock).messages == ()
        file.chmod(0o600)
        assert maildirs.remembered(at(maildir)) is None
        assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]
        assert maildirs.unreadable_messages(at(maildir)) == 0


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_folder_that_cannot_be_listed_and_searched_is_unreadable(mode: int) -> None:
    with ordinary_user() as maildir:
        deliver(maildir, "1.a")
        (maildir / "new").chmod(mode)
        try:
            with pytest.raises(MaildirUnreadable):
                scan(maildir)
        finally:
            (maildir / "new").chmod(0o700)


# Remembering


def test_nothing_is_remembered_of_a_maildir_never_scanned(maildir: Path, maildirs: Maildirs) -> None:
    assert maildirs.remembered(at(maildir)) is None


def test_the_first_scan_of_a_changed_folder_is_not_trusted(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    deliver(maildir, "1.a")
    maildirs.scan(at(maildir))
    clock.seconds += 1000
    assert maildirs.remembered(at(maildir)) is None


def test_a_scan_made_before_the_grain_has_passed_is_not_trusted(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    maildirs.scan(at(maildir))
    clock.seconds += GRAIN_SECONDS - 0.01
    maildirs.scan(at(maildir))
    clock.seconds += 1000
    assert maildirs.remembered(at(maildir)) is None


def test_a_scan_made_after_the_grain_has_passed_is_remembered(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    deliver(maildir, "1.a")
    contents = trust(maildirs, maildir, clock)
    assert maildirs.remembered(at(maildir)) is contents
    assert maildirs.scan(at(maildir)) is contents


def test_a_folder_with_a_time_in_the_far_future_is_remembered_until_it_changes(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    year_2300 = 10_413_792_000
    os.utime(maildir / "new", (year_2300, year_2300))
    contents = trust(maildirs, maildir, clock)
    assert maildirs.remembered(at(maildir)) is contents
    os.utime(maildir / "new", (year_2300, year_2300 + 1))
    assert maildirs.remembered(at(maildir)) is None


def test_a_message_with_a_time_in_the_far_future_hides_no_mail(maildir: Path, maildirs: Maildirs) -> None:
    file = deliver(maildir, "1.a")
    year_2300 = 10_413_792_000
    os.utime(file, (year_2300, year_2300))
    deliver(maildir, "2.b")
    contents = maildirs.scan(at(maildir))
    assert unique_ids(contents) == [b"1.a", b"2.b"]
    with MessageFile.open(at(maildir), contents.messages[0], MovedMessages()) as opened:
        assert opened.read(10) == b"a\n"


def test_a_missing_maildir_is_empty_until_it_appears(
    tmp_path: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    contents = trust(maildirs, tmp_path / "later", clock)
    assert maildirs.scan(at(tmp_path / "later")) is contents
    (tmp_path / "later" / "new").mkdir(parents=True)
    deliver(tmp_path / "later", "1.a")
    assert maildirs.remembered(at(tmp_path / "later")) is None
    assert unique_ids(maildirs.scan(at(tmp_path / "later"))) == [b"1.a"]


def test_the_grain_counts_from_the_end_of_the_scan_that_saw_the_folders(maildir: Path) -> None:
    # A scan that takes 5 s saw the mtimes at any moment of them.
    times = iter([0.0, 5.0, 6.0, 6.0])
    maildirs = Maildirs(lambda: next(times))
    maildirs.scan(at(maildir))
    maildirs.scan(at(maildir))
    assert maildirs.remembered(at(maildir)) is None


def test_two_deliveries_within_one_tick_both_show_at_the_next_login(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a file server with such a clock the ctime stays too.
    monkeypatch.setattr(folder_module, "stamp_of", lambda status: (status.st_ino, status.st_mtime_ns))
    deliver(maildir, "1.a")
    os.utime(maildir / "new", (1000, 1000))
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]
    deliver(maildir, "2.b")
    os.utime(maildir / "new", (1000, 1000))
    clock.seconds += 1000
    assert maildirs.remembered(at(maildir)) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a", b"2.b"]


@pytest.mark.parametrize("folder", ["new", "cur"])
def test_a_delivery_ends_what_is_remembered(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, folder: str
) -> None:
    os.utime(maildir / folder, (1000, 1000))
    trust(maildirs, maildir, clock)
    deliver(maildir, "1.a", folder=folder)
    assert maildirs.remembered(at(maildir)) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]


def test_a_removal_ends_what_is_remembered(maildir: Path, maildirs: Maildirs, clock: StoppedClock) -> None:
    file = deliver(maildir, "1.a")
    os.utime(maildir / "new", (1000, 1000))
    trust(maildirs, maildir, clock)
    file.unlink()
    os.utime(maildir / "new", (1000, 1000))  # nobody can set the ctime back
    assert maildirs.remembered(at(maildir)) is None
    assert maildirs.scan(at(maildir)).messages == ()


def test_a_folder_put_in_place_of_another_ends_what_is_remembered(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    os.utime(maildir / "new", (1000, 1000))
    trust(maildirs, maildir, clock)
    (maildir / "new").rename(maildir / "old")
    (maildir / "new").mkdir()
    deliver(maildir, "1.a")
    os.utime(maildir / "new", (1000, 1000))
    assert maildirs.remembered(at(maildir)) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]


def test_a_link_put_in_place_of_a_folder_ends_what_is_remembered(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    trust(maildirs, maildir, clock)
    (maildir / "new").rename(maildir / "old")
    (maildir / "new").symlink_to("old")
    assert maildirs.remembered(at(maildir)) is None


def test_a_maildir_that_became_a_file_is_not_remembered(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    trust(maildirs, maildir, clock)
    maildir.rename(maildir.with_name("old"))
    maildir.write_bytes(b"")
    assert maildirs.remembered(at(maildir)) is None
    with pytest.raises(MaildirUnreadable):
        maildirs.scan(at(maildir))


def test_a_rescan_that_finds_the_same_gives_the_same_object(maildir: Path, maildirs: Maildirs) -> None:
    deliver(maildir, "1.a")
    contents = maildirs.scan(at(maildir))
    os.utime(maildir / "new")
    assert maildirs.scan(at(maildir)) is contents


def test_a_large_maildrop_is_remembered_like_any_other(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    for number in range(SMALL_MAILDROP + 1):
        deliver(maildir, f"{number}.a")
    contents = trust(maildirs, maildir, clock)
    assert maildirs.remembered(at(maildir)) is contents
    assert maildirs.scan(at(maildir)) is contents


def test_a_folder_that_the_kernel_has_dropped_from_memory_is_left_to_a_thread(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = trust(maildirs, maildir, clock)
    monkeypatch.setattr(Maildir, "status_if_cached", lambda maildir, folder: None)
    assert maildirs.remembered(at(maildir)) is None
    assert maildirs.scan(at(maildir)) is contents


# Verification


def test_what_is_as_it_was_stays_remembered_through_a_verification(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    deliver(maildir, "1.a")
    deliver(maildir, "2.b:2,S", folder="cur")
    contents = trust(maildirs, maildir, clock)
    maildirs.verify(at(maildir).path)
    assert maildirs.remembered(at(maildir)) is contents


@pytest.mark.parametrize("name", ["1.a", "2.b:2,S"])
def test_a_verification_looks_at_the_files_of_both_folders(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, name: str
) -> None:
    files = {"1.a": deliver(maildir, "1.a"), "2.b:2,S": deliver(maildir, "2.b:2,S", folder="cur")}
    trust(maildirs, maildir, clock)
    append(files[name])
    maildirs.verify(at(maildir).path)
    assert maildirs.remembered(at(maildir)) is None


def test_a_verification_of_what_is_not_remembered_does_nothing(maildir: Path, maildirs: Maildirs) -> None:
    maildirs.verify(at(maildir).path)
    maildirs.doubt(at(maildir).path)
    assert maildirs.remembered(at(maildir)) is None


def test_only_what_logins_have_used_since_is_to_be_verified(tmp_path: Path, clock: StoppedClock) -> None:
    maildirs = Maildirs(clock, remembered_messages=3)
    alice, bob = tmp_path / "alice", tmp_path / "bob"
    for folder in (alice, bob):
        (folder / "new").mkdir(parents=True)
        (folder / "cur").mkdir()
        trust(maildirs, folder, clock)
    assert maildirs.used() == []  # a scan has just looked at the files
    assert maildirs.remembered(at(bob)) is not None
    maildirs.verify(at(bob).path)
    assert maildirs.used() == [at(bob).path]
    assert maildirs.device(at(bob).path) == bob.stat().st_dev
    assert maildirs.used() == []
    assert maildirs.scan(at(bob)) is not None
    # What is forgotten meanwhile needs no verification.
    assert maildirs.remembered(at(alice)) is not None
    for number in range(2):
        deliver(alice, f"{number}.a")
    trust(maildirs, alice, clock)
    assert maildirs.used() == []


def test_another_maildir_in_place_of_a_remembered_one_is_noticed_by_a_verification(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock
) -> None:
    for folder in ("new", "cur"):
        (maildir / folder).rmdir()
    contents = trust(maildirs, maildir, clock)
    maildir.rename(maildir.with_name("old"))
    maildir.mkdir()
    maildirs.verify(at(maildir).path)
    maildir.rmdir()
    maildir.with_name("old").rename(maildir)
    assert maildirs.remembered(at(maildir)) is None
    assert maildirs.scan(at(maildir)) is contents


def test_the_least_recently_used_maildirs_are_forgotten_first(tmp_path: Path, clock: StoppedClock) -> None:
    maildirs = Maildirs(clock, remembered_messages=6)
    folders = [tmp_path / name for name in ("alice", "bob", "charles")]
    for folder in folders:
        (folder / "new").mkdir(parents=True)
        (folder / "cur").mkdir()
        deliver(folder, "1.a")
    alice, bob, charles = folders
    trust(maildirs, alice, clock)
    trust(maildirs, bob, clock)
    assert maildirs.remembered(at(alice)) is not None
    deliver(charles, "2.b")
    trust(maildirs, charles, clock)
    assert maildirs.remembered(at(bob)) is None
    assert maildirs.remembered(at(alice)) is not None
    assert maildirs.remembered(at(charles)) is not None


def test_empty_maildrops_are_not_remembered_without_a_limit(tmp_path: Path, clock: StoppedClock) -> None:
    maildirs = Maildirs(clock, remembered_messages=2)
    for name in ("a", "b", "c"):
        (tmp_path / name / "new").mkdir(parents=True)
        (tmp_path / name / "cur").mkdir()
        trust(maildirs, tmp_path / name, clock)
    assert [maildirs.remembered(at(tmp_path / name)) is None for name in "abc"] == [
        True,
        False,
        False,
    ]


def test_a_maildrop_over_the_limit_is_served_and_not_remembered(maildir: Path, clock: StoppedClock) -> None:
    maildirs = Maildirs(clock, remembered_messages=2)
    for number in range(3):
        deliver(maildir, f"{number}.a")
    assert len(trust(maildirs, maildir, clock).messages) == 3
    assert maildirs.remembered(at(maildir)) is None


def test_a_scan_overtaken_by_a_later_one_does_not_replace_it(
    maildir: Path, maildirs: Maildirs, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1.a")
    later: list[MaildropContents] = []
    real_names = Folder.names

    def overtaken(folder: Folder) -> list[bytes]:
        names = real_names(folder)
        if not later:
            later.append(MaildropContents((), (), ()))
            clock.seconds += 10
            trust(maildirs, maildir, clock)
            later[0] = maildirs.scan(at(maildir))
        return names

    monkeypatch.setattr(Folder, "names", overtaken)
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]
    assert maildirs.remembered(at(maildir)) is later[0]


def test_many_threads_may_scan_at_once(tmp_path: Path) -> None:
    maildirs = Maildirs(remembered_messages=20)
    folders = [tmp_path / str(number) for number in range(8)]
    for count, folder in enumerate(folders):
        (folder / "new").mkdir(parents=True)
        for number in range(count):
            deliver(folder, f"{number}.a")
    with ThreadPoolExecutor(8) as pool:
        scans = list(pool.map(lambda folder: maildirs.scan(at(folder)), folders * 50))
    assert [len(contents.messages) for contents in scans] == list(range(8)) * 50


def test_no_descriptor_stays_open(maildir: Path) -> None:
    deliver(maildir, "1.a")
    before = os.open("/dev/null", os.O_RDONLY)
    os.close(before)
    scan(maildir)
    (maildir / "cur").rmdir()
    (maildir / "cur").write_bytes(b"")
    with pytest.raises(MaildirUnreadable):
        scan(maildir)
    after = os.open("/dev/null", os.O_RDONLY)
    os.close(after)
    assert after == before


def test_short_reads_do_not_change_the_octets(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(maildir, "1.8bit", "Subject: Grüße\r\n\nKörper\r".encode())
    expected = scan(maildir).messages[0].octets
    real_count = wire.count_wire
    monkeypatch.setattr(
        octets_module, "count_wire", lambda file, first, _, before: real_count(file, first, 3, before)
    )
    assert scan(maildir).messages[0].octets == expected


def test_a_failing_disk_fails_the_login_and_hides_no_message(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, position: int, count: int, before: int) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    deliver(maildir, "1.a")
    monkeypatch.setattr(octets_module, "count_wire", fail)
    with pytest.raises(MaildirUnreadable) as caught:
        scan(maildir)
    assert caught.value.is_temporary


def test_the_lock_name_of_a_scanned_maildir_is_known_before_it_is_opened_again(
    maildir: Path, maildirs: Maildirs
) -> None:
    scanned = at(maildir)
    assert maildirs.lock_name(scanned.path) == ""
    maildirs.scan(scanned)
    assert maildirs.lock_name(scanned.path) == scanned.lock_name != ""
