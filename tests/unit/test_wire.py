"""From a file to its wire form, in C and in Python: errors told apart, nothing kept, nobody kept waiting."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from pop3_service.maildir import wire, wire_in_python
from pop3_service.protocol.multiline import LINE_FEED

in_c = pytest.importorskip("pop3_service.maildir._wire", reason="no C compiler was there")

ReadWire = Callable[[int, int, int, int, int, bool, bool], bytes | None]
READERS = pytest.mark.parametrize(
    "read_wire", [in_c.read_wire, wire_in_python.read_wire], ids=["C", "Python"]
)
CONTENT = b"one\n.two\r\nthree"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "message"
    path.write_bytes(CONTENT)
    return path


def read_of(read_wire: ReadWire, path: Path, count: int, position: int = 0, flags: int = 0) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return read_wire(descriptor, position, count, flags, LINE_FEED, True, False)
    finally:
        os.close(descriptor)


def test_the_service_uses_the_compiled_module() -> None:
    assert wire.NOT_USED == "", "run `make`"
    assert (wire.read_wire, wire.count_wire) == (in_c.read_wire, in_c.count_wire)


@READERS
def test_a_message_is_read_with_its_end(read_wire: ReadWire, file: Path) -> None:
    assert read_of(read_wire, file, len(CONTENT)) == b"one\r\n..two\r\nthree\r\n.\r\n"


@READERS
def test_what_was_appended_is_not_read(read_wire: ReadWire, file: Path) -> None:
    file.write_bytes(CONTENT + b"\nmore\n")
    assert read_of(read_wire, file, len(CONTENT)) == b"one\r\n..two\r\nthree\r\n.\r\n"


@READERS
def test_a_file_that_has_become_shorter_is_not_read(read_wire: ReadWire, file: Path) -> None:
    os.truncate(file, 3)
    assert read_of(read_wire, file, len(CONTENT)) is None
    assert read_of(read_wire, file, 1, position=3) is None


@READERS
def test_what_is_no_file_has_its_error(read_wire: ReadWire, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_of(read_wire, tmp_path, 10)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="Illegal seek"):
        read_of(read_wire, tmp_path / "fifo", 10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_wire(1_000_000, 0, 10, 0, LINE_FEED, True, False)


@READERS
def test_what_the_kernel_does_not_have_in_memory_would_block(read_wire: ReadWire, file: Path) -> None:
    wire = None
    for _ in range(100):  # the kernel may keep a page that another core has just used
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            wire = read_of(read_wire, file, len(CONTENT), flags=os.RWF_NOWAIT)
        except BlockingIOError:
            return
    pytest.skip("this file system keeps everything in memory" if wire else "it cannot read without waiting")


@READERS
def test_more_than_memory_holds_is_refused(read_wire: ReadWire, file: Path) -> None:
    with pytest.raises(MemoryError):
        read_of(read_wire, file, sys.maxsize - 1)


@READERS
def test_a_position_before_the_file_is_an_error(read_wire: ReadWire, file: Path) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        read_of(read_wire, file, 3, position=-2)


@pytest.mark.parametrize("count_wire", [in_c.count_wire, wire_in_python.count_wire], ids=["C", "Python"])
def test_no_position_is_where_another_reader_has_stopped(
    count_wire: Callable[[int, int, int, int], tuple[int, int, int, bool]], file: Path
) -> None:
    with file.open("rb") as opened, pytest.raises(OSError, match="Invalid argument"):
        count_wire(opened.fileno(), -1, 3, LINE_FEED)


SignalHandler = Callable[[int, FrameType | None], None]


def read_while_signals_come(read_wire: ReadWire, handler: SignalHandler, reading: int) -> bytes | None:
    """Read from a pipe, which has no position; signals come until one has ended the system call."""
    go, pause = threading.Event(), threading.Event()
    handled: list[int] = []  # no lock: a signal may come while the handler of another one runs
    reader = threading.get_ident()

    def handle(number: int, frame: FrameType | None) -> None:
        if not handled:
            handled.append(number)
            handler(number, frame)

    def send_signals() -> None:
        go.wait()
        while not handled:
            signal.pthread_kill(reader, signal.SIGUSR1)
            pause.wait(0.001)

    sender, old = threading.Thread(target=send_signals), signal.signal(signal.SIGUSR1, handle)
    try:
        sender.start()
        go.set()
        return read_wire(reading, -1, 3, os.RWF_HIPRI, LINE_FEED, False, False)
    finally:
        handled.append(0)
        sender.join()
        signal.signal(signal.SIGUSR1, old)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@READERS
def test_a_signal_does_not_end_a_read(read_wire: ReadWire, pipe: tuple[int, int]) -> None:
    reading, writing = pipe

    def deliver(number: int, frame: FrameType | None) -> None:
        os.write(writing, b"one")

    assert read_while_signals_come(read_wire, deliver, reading) == b"one"


@READERS
def test_what_a_handler_of_signals_raises_ends_a_read(read_wire: ReadWire, pipe: tuple[int, int]) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise ConnectionAbortedError(number)

    with pytest.raises(ConnectionAbortedError):
        read_while_signals_come(read_wire, interrupt, pipe[0])


def test_a_negative_count_is_never_taken_for_a_large_one(file: Path) -> None:
    with pytest.raises(MemoryError):
        read_of(in_c.read_wire, file, -1)


def memory_octets() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_kept_after_any_outcome(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"line\n" * 20_000)
    size = path.stat().st_size

    def use_it_all(times: int) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        for _ in range(times):
            in_c.read_wire(descriptor, 0, size, 0, LINE_FEED, True, True)
            in_c.read_wire(descriptor, 1, size, 0, LINE_FEED, True, True)  # too short
            in_c.count_wire(descriptor, 0, size, LINE_FEED)
            with pytest.raises(OSError, match="Bad file"):
                in_c.read_wire(-1, 0, size, 0, LINE_FEED, True, True)
            with pytest.raises(OSError, match="Bad file"):
                in_c.count_wire(-1, 0, size, LINE_FEED)
        os.close(descriptor)

    use_it_all(50)
    gc.collect()
    before, references = memory_octets(), [sys.getrefcount(each) for each in (None, True, False)]
    use_it_all(500)
    # Each outcome that kept its octets would have kept 50 MB.
    assert memory_octets() - before < 10_000_000
    gc.collect()
    after = [sys.getrefcount(each) for each in (None, True, False)]
    # One that kept a reference would have kept 500, and what else lives in this process takes some.
    assert all(abs(new - old) < 400 for new, old in zip(after, references, strict=True))


def test_other_threads_run_while_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"line\n" * 50_000)
    go, has_run = threading.Event(), threading.Event()

    def run() -> None:
        go.wait()
        has_run.set()

    interval = sys.getswitchinterval()
    # So long that the interpreter takes its lock from nobody: the thread runs only when it is given away.
    sys.setswitchinterval(1000)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        go.set()
        assert not has_run.is_set()
        for _ in range(20_000):
            if has_run.is_set():
                break
            in_c.read_wire(descriptor, 0, 250_000, 0, LINE_FEED, True, True)
        has_run_meanwhile = has_run.is_set()
    finally:
        sys.setswitchinterval(interval)
        os.close(descriptor)
    thread.join()
    assert has_run_meanwhile
