"""Reading one message: the listed file and no other, its listed octets and no more."""

import errno
import os
from pathlib import Path

import pytest

from pop3_service.maildir import (
    FileIdentity,
    Maildirs,
    MessageChanged,
    MessageFile,
    MessageGone,
    MessageUnreadable,
    read,
    wire_if_cached,
    wire_in_python,
)
from pop3_service.maildir.moved import MovedMessages
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import LINE_FEED
from support.maildir_files import at, opened, ordinary_user


@pytest.fixture(params=["C", "Python"], autouse=True)
def read_wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with both ways to a message's wire form."""
    if request.param == "C":
        module = pytest.importorskip("pop3_service.maildir._wire", reason="no C compiler was there")
    else:
        module = wire_in_python
    monkeypatch.setattr(read, "read_wire", module.read_wire)


def listed(maildir: Path, name: str = "1.a", content: bytes = b"one\ntwo\n") -> tuple[Path, Message]:
    """Deliver a message to `new` and return its file with its place in the scan."""
    file = maildir / "new" / name
    file.write_bytes(content)
    messages = Maildirs().scan(at(maildir)).messages
    return file, next(each for each in messages if each.unique_id == name.encode())


def content_of(maildir: Path, message: Message) -> bytes:
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        return b"".join(iter(lambda: file.read(3), b""))


def test_the_content_is_read_in_pieces_up_to_its_end(maildir: Path) -> None:
    _, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert (file.size, file.lane) == (8, maildir.stat().st_dev)
        assert [file.read(5), file.read(5), file.read(5)] == [b"one\nt", b"wo\n", b""]


def test_an_empty_message_is_at_its_end(maildir: Path) -> None:
    _, message = listed(maildir, content=b"")
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read_cached(10) == b""
        assert file.read(10) == b""


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this platform cannot read without waiting")
def test_what_is_in_memory_is_read_without_waiting(maildir: Path) -> None:
    _, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        first = file.read_cached(5)
        if first is None:
            pytest.skip("this file system cannot read without waiting")
        assert [first, file.read(1), file.read_cached(100)] == [b"one\nt", b"w", b"o\n"]
        assert file.read_cached(5) == b""


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this platform cannot read without waiting")
def test_a_long_message_comes_as_wire_lines_in_pieces(maildir: Path) -> None:
    _, message = listed(maildir, content=b"one\n.two\r\nend")
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        if (first := file.wire_if_cached(4, LINE_FEED)) is None:
            pytest.skip("this file system cannot read without waiting")
        # Cut between CR and LF; one piece by a thread; the last one shorter than asked for.
        assert [first, file.wire_if_cached(5, first[-1])] == [b"one\r\n", b"..two\r"]
        assert [file.wire_if_cached(1, 13), file.read(1), file.wire_if_cached(9, 101)] == [b"\n", b"e", b"nd"]
        assert file.wire_if_cached(9, 100) == b""


def test_wire_lines_that_are_not_in_memory_are_left_to_a_thread(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def would_wait(*arguments: object) -> bytes:
        raise BlockingIOError

    path, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        os.truncate(path, 3)
        assert file.wire_if_cached(8, LINE_FEED) is None
        monkeypatch.setattr(read, "read_wire", would_wait)
        assert file.wire_if_cached(2, LINE_FEED) is None
        monkeypatch.setattr(read, "_NOWAIT", None)
        assert file.wire_if_cached(2, LINE_FEED) is None
        assert file.read(100) == b"one"


def test_without_a_way_to_read_without_waiting_the_thread_must_do_it(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_NOWAIT", None)
    _, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read_cached(5) is None
        assert file.read(100) == b"one\ntwo\n"
        assert file.read_cached(5) == b""


@pytest.mark.parametrize("answer", [BlockingIOError(), OSError(95, "not supported"), 0])
def test_what_is_not_in_memory_must_be_read_by_a_thread(
    maildir: Path, monkeypatch: pytest.MonkeyPatch, answer: OSError | int
) -> None:
    def preadv(*arguments: object) -> int:
        if isinstance(answer, OSError):
            raise answer
        return answer

    _, message = listed(maildir)
    monkeypatch.setattr(read, "_NOWAIT", 8)
    monkeypatch.setattr(os, "preadv", preadv, raising=False)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read_cached(5) is None
        assert file.read(5) == b"one\nt"


def test_a_message_that_moved_to_cur_is_found(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "cur" / "1.a:2,S")
    assert content_of(maildir, message) == b"one\ntwo\n"


def test_a_message_whose_flags_changed_is_found(maildir: Path) -> None:
    file, _ = listed(maildir)
    file = file.rename(maildir / "cur" / "1.a:2,")
    (message,) = Maildirs().scan(at(maildir)).messages
    file.rename(maildir / "cur" / "1.a:2,FS")
    assert content_of(maildir, message) == b"one\ntwo\n"


def test_a_message_that_moved_back_to_new_is_found(maildir: Path) -> None:
    file, _ = listed(maildir)
    file = file.rename(maildir / "cur" / "1.a:2,")
    (message,) = Maildirs().scan(at(maildir)).messages
    file.rename(maildir / "new" / "1.a")
    assert content_of(maildir, message) == b"one\ntwo\n"


def test_a_vanished_message_is_gone(maildir: Path) -> None:
    file, message = listed(maildir)
    file.unlink()
    with pytest.raises(MessageGone):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_message_is_gone_with_its_maildir(maildir: Path) -> None:
    _, message = listed(maildir)
    maildir.rename(maildir.with_name("old"))
    with pytest.raises(MessageGone):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_another_file_with_the_same_unique_part_is_not_the_message(maildir: Path) -> None:
    file, message = listed(maildir)
    (maildir / "cur" / "1.a:2,S").write_bytes(b"one\ntwo\n")
    file.unlink()
    with pytest.raises(MessageGone):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_the_same_file_under_another_unique_part_is_not_the_message(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "cur" / "1.b:2,S")
    with pytest.raises(MessageGone):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_another_file_under_the_listed_name_is_a_change(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")
    file.write_bytes(b"eno\nowt\n")
    with pytest.raises(MessageChanged):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_rewrite_with_the_same_size_is_a_change(maildir: Path) -> None:
    file, message = listed(maildir)
    os.utime(file, (1000, 1000))
    with pytest.raises(MessageChanged):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_message_that_grew_since_the_scan_is_a_change(maildir: Path) -> None:
    file, message = listed(maildir)
    status = file.stat()
    with file.open("ab") as opened:
        opened.write(b"more")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(MessageChanged):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_link_in_place_of_the_message_is_not_followed(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")
    file.symlink_to(maildir / "kept")
    with pytest.raises(MessageGone):
        MessageFile.open(at(maildir), message, MovedMessages())


@pytest.mark.timeout(10)
def test_a_fifo_in_place_of_the_message_cannot_hang(maildir: Path) -> None:
    file, message = listed(maildir)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(MessageChanged):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_folder_that_leads_elsewhere_shows_no_other_mail(maildir: Path, tmp_path: Path) -> None:
    file, message = listed(maildir)
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / file.name).write_bytes(b"secret\n\n")
    (maildir / "new").rename(maildir / "old")
    (maildir / "new").symlink_to(tmp_path / "bob")
    with pytest.raises(MessageUnreadable):
        MessageFile.open(at(maildir), message, MovedMessages())


def test_a_message_without_read_permission_is_unreadable() -> None:
    with ordinary_user() as maildir:
        file, message = listed(maildir)
        file.chmod(0)
        with pytest.raises(MessageUnreadable) as caught:
            MessageFile.open(at(maildir), message, MovedMessages())
        assert str(maildir) not in str(caught.value)


def read_on(file: MessageFile, way: str) -> object:
    if way == "thread":
        return file.read(4)
    read = file.read_cached(4) if way == "memory" else file.wire_if_cached(4, LINE_FEED)
    if read is None:
        pytest.skip("this file system cannot read without waiting")
    return read


@pytest.mark.parametrize("content", [b"one\nTWO\n", b"one\ntwo\nmore"], ids=["overwritten", "appended"])
@pytest.mark.parametrize("way", ["thread", "memory", "wire"])
def test_a_file_that_is_written_to_while_reading_does_not_look_complete(
    maildir: Path, content: bytes, way: str
) -> None:
    path, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        read_on(file, way)
        with path.open("r+b") as opened:
            opened.write(content)
        os.utime(path, (1000, 1000))  # the clock may not have ticked since the message came
        with pytest.raises(MessageChanged):
            read_on(file, way)


def test_a_file_that_the_file_server_has_lost_is_passing_trouble(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(identity: FileIdentity, descriptor: int) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    _, message = listed(maildir)
    monkeypatch.setattr(FileIdentity, "is_held_by", lost)
    with pytest.raises(MessageUnreadable) as caught:
        MessageFile.open(at(maildir), message, MovedMessages())
    assert caught.value.is_temporary


def test_a_file_cut_short_while_reading_does_not_look_complete(maildir: Path) -> None:
    path, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read(3) == b"one"
        os.truncate(path, 3)
        assert file.read_cached(100) is None
        with pytest.raises(MessageChanged):
            file.read(100)


def test_a_message_removed_while_reading_is_read_to_its_end(maildir: Path) -> None:
    path, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read(3) == b"one"
        path.unlink()
        assert file.read(100) == b"\ntwo\n"


def test_a_failing_disk_makes_the_message_unreadable(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pread(*arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    _, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        monkeypatch.setattr(os, "pread", pread)
        with pytest.raises(MessageUnreadable):
            file.read(5)


def test_a_closed_message_reads_nobody_elses_file(maildir: Path) -> None:
    _, message = listed(maildir)
    file = MessageFile.open(at(maildir), message, MovedMessages())
    file.close()
    with (maildir / "other").open("w+b") as other:  # Takes over the number of the descriptor.
        other.write(b"secret")
        other.flush()
        with pytest.raises(ValueError, match="closed"):
            file.read(5)
        with pytest.raises(ValueError, match="closed"):
            file.read_cached(5)
        with pytest.raises(ValueError, match="closed"):
            file.wire_if_cached(5, LINE_FEED)


def test_closing_twice_closes_nobody_elses_file(maildir: Path) -> None:
    _, message = listed(maildir)
    file = MessageFile.open(at(maildir), message, MovedMessages())
    file.close()
    with (maildir / "other").open("w+b") as other:
        file.close()
        assert other.write(b"still open") == 10


def test_a_close_during_a_read_waits_for_that_read(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, message = listed(maildir)
    file = MessageFile.open(at(maildir), message, MovedMessages())
    descriptors: list[int] = []
    real_pread = os.pread

    def close_then_read(descriptor: int, count: int, position: int) -> bytes:
        descriptors.append(descriptor)
        file.close()
        return real_pread(descriptor, count, position)

    monkeypatch.setattr(os, "pread", close_then_read)
    assert file.read(3) == b"one"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_a_message_of_another_origin_is_refused(maildir: Path) -> None:
    with pytest.raises(TypeError):
        MessageFile.open(at(maildir), Message(unique_id=b"1", octets=1, location="1"), MovedMessages())


def test_a_refused_message_leaves_no_descriptor_open(maildir: Path) -> None:
    file, message = listed(maildir)
    os.utime(file, (1000, 1000))
    before = os.open("/dev/null", os.O_RDONLY)
    os.close(before)
    with pytest.raises(MessageChanged):
        MessageFile.open(at(maildir), message, MovedMessages())
    after = os.open("/dev/null", os.O_RDONLY)
    os.close(after)
    assert after == before


def cached(maildir: Path, message: Message, longest: int = 1000) -> bytes:
    wire = wire_if_cached(opened(maildir), message, longest)
    if wire is None:
        pytest.skip("this file system cannot read without waiting")
    return wire


def test_content_in_memory_is_had_at_once(maildir: Path) -> None:
    _, message = listed(maildir)
    assert cached(maildir, message) == b"one\r\ntwo\r\n.\r\n"
    assert cached(maildir, message, longest=8) == b"one\r\ntwo\r\n.\r\n"


def test_an_empty_message_is_had_at_once(maildir: Path) -> None:
    _, message = listed(maildir, content=b"")
    assert cached(maildir, message) == b".\r\n"


def test_content_that_is_too_long_or_elsewhere_is_not_had_at_once(maildir: Path) -> None:
    file, message = listed(maildir)
    assert wire_if_cached(opened(maildir), message, 7) is None
    file.rename(file.with_name("moved"))
    assert wire_if_cached(opened(maildir), message, 1000) is None


def test_content_of_another_file_is_never_had(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(file.with_name("moved"))
    file.write_bytes(b"ONE\nTWO\n")
    with pytest.raises(MessageChanged):
        wire_if_cached(opened(maildir), message, 1000)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(MessageChanged):
        wire_if_cached(opened(maildir), message, 1000)


def test_content_at_once_leaves_no_descriptor_open(maildir: Path) -> None:
    file, message = listed(maildir)
    before = os.open("/dev/null", os.O_RDONLY)
    os.close(before)
    wire_if_cached(opened(maildir), message, 1000)
    os.utime(file, (1000, 1000))
    with pytest.raises(MessageChanged):
        wire_if_cached(opened(maildir), message, 1000)
    after = os.open("/dev/null", os.O_RDONLY)
    os.close(after)
    assert after == before


@pytest.mark.parametrize(
    ("number", "is_temporary"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.ESTALE, True),
        (errno.EIO, True),
        (errno.ENOSPC, True),
        (errno.EACCES, False),
        (errno.ENOTDIR, False),
    ],
)
def test_trouble_with_one_file_is_not_taken_for_its_removal(
    maildir: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_temporary: bool
) -> None:
    def fail(folder: int, path: bytes, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    _, message = listed(maildir)
    monkeypatch.setattr(read, "open_beneath", fail)
    with pytest.raises(MessageUnreadable) as caught:
        MessageFile.open(at(maildir), message, MovedMessages())
    assert caught.value.is_temporary is is_temporary


def test_a_disk_that_fails_while_reading_is_passing_trouble(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, count: int, position: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    _, message = listed(maildir)
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(MessageUnreadable) as caught:
            file.read(10)
    assert caught.value.is_temporary


def test_content_that_is_not_in_memory_is_not_had_at_once(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def would_wait(*arguments: object) -> bytes:
        raise BlockingIOError

    _, message = listed(maildir)
    monkeypatch.setattr(read, "_NOWAIT", 8)
    monkeypatch.setattr(read, "read_wire", would_wait)
    assert wire_if_cached(opened(maildir), message, 1000) is None
    with MessageFile.open(at(maildir), message, MovedMessages()) as file:
        assert file.read(100) == b"one\ntwo\n"


def test_a_maildir_that_is_not_held_open_is_not_read_on_the_event_loop(maildir: Path) -> None:
    _, message = listed(maildir)
    assert wire_if_cached(at(maildir), message, 1000) is None
    assert MessageFile.open_if_cached(at(maildir), message) is None


def test_a_file_in_memory_is_opened_at_once(maildir: Path) -> None:
    file, message = listed(maildir)
    held = opened(maildir)
    at_once = MessageFile.open_if_cached(held, message)
    if at_once is None:
        pytest.skip("this file system cannot open without waiting")
    with at_once:
        assert at_once.read(100) == b"one\ntwo\n"
    file.unlink()
    assert MessageFile.open_if_cached(held, message) is None
