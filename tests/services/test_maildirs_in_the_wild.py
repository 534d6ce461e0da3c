"""Maildirs as other programs make, fill and change them, seen over POP3."""

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.pop3_process import PASSWORD, Pop3Process, wait_until
from support.redis_server import RedisServer

CONTENT = b"Subject: wild\n\n.one\ntwo\n"
LINES = [b"Subject: wild\r\n", b"\r\n", b"..one\r\n", b"two\r\n"]
OCTETS = len(b"Subject: wild\r\n\r\n.one\r\ntwo\r\n")

UNREADABLE = b"-ERR [SYS/PERM] the maildrop cannot be read\r\n"
UNAVAILABLE = b"-ERR message was removed or changed by another program since login\r\n"
UNREADABLE_MESSAGE = b"-ERR [SYS/PERM] the message cannot be read\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    """Give a service that permissions bind, whoever runs the tests."""
    folder = tmp_path_factory.mktemp("wild")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, folder, ordinary_rights=True) as process,
    ):
        yield process


@pytest.fixture
def maildir(service: Pop3Process) -> Path:
    """Give the maildir of a new user; its name is the user's."""
    return service.mail / service.add_user()


def put(maildir: Path, name: str, content: bytes = CONTENT, folder: str = "new") -> Path:
    """Deliver a message under a name of the test's choice."""
    file = maildir / folder / name
    file.write_bytes(content)
    return file


def unique_ids(service: Pop3Process, maildir: Path) -> list[bytes]:
    """Return the unique-ids that a new session shows."""
    with service.log_in(maildir.name) as client:
        lines = [line.split() for line in client.ask_lines("UIDL")]
        assert client.quit().startswith(b"+OK")
    assert [number for number, _ in lines] == [b"%d" % number for number in range(1, len(lines) + 1)]
    return [unique_id for _, unique_id in lines]


# Names

PLAIN_NAMES = {
    "qmail": "1700000000.12345.mx.example.com",
    "Dovecot": "1700000000.M123456P789.mx,S=24,W=29:2,RSab",
    "Dovecot with sizes that lie": "1700000000.M123456P789.mx,S=5000,W=6000:2,S",
    "Dovecot with half a size": "1700000000.M123456P789.mx,S=,W=x:2,",
    "Courier": "1700000000.M123456P789V0000000000000801I00000000000E4F30_0.mx,S=24:2,S",
    "without a timestamp": "message",
    "a huge timestamp": "9" * 60,
    "70 octets": "1700000000." + "x" * 59,
    "what a shell would run": "1700000000.$(touch${IFS}ran)`id`;'\"&|",
}
ENCODED_NAMES = {
    "71 octets": "1700000000." + "x" * 60,
    "255 octets": "1700000000." + "x" * 244,
    "spaces": " 1700000000.a b ",
    "a tab": "1700000000.\ta",
    "CR and LF": "1700000000.a\r\n+OK 1 1\r\n.\r\n",
    "UTF-8": "1700000000.\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "not UTF-8": os.fsdecode(b"1700000000.\xff\xfe\x80"),
    "nothing before the flags": ":2,S",
}


@pytest.mark.parametrize("kind", [*PLAIN_NAMES, *ENCODED_NAMES])
def test_message_of_any_name_is_listed_fetched_and_removed(
    service: Pop3Process, maildir: Path, kind: str
) -> None:
    name = PLAIN_NAMES.get(kind) or ENCODED_NAMES[kind]
    try:
        file = put(maildir, name, folder="cur" if ":" in name else "new")
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        pytest.skip("this file system takes names in UTF-8 only")
    with service.log_in(maildir.name) as client:
        assert client.ask("LIST 1") == b"+OK 1 %d\r\n" % OCTETS
        assert client.ask_lines("LIST") == [b"1 %d\r\n" % OCTETS]
        (line,) = client.ask_lines("UIDL")
        assert client.ask("UIDL 1") == b"+OK " + line
        assert client.ask_lines("RETR 1") == LINES
        assert client.quit().startswith(b"+OK")
    unique_id = line.removeprefix(b"1 ").removesuffix(b"\r\n")
    if kind in PLAIN_NAMES:
        assert unique_id == name.split(":")[0].encode()
    assert 1 <= len(unique_id) <= 70
    assert all(0x21 <= octet <= 0x7E for octet in unique_id)

    # Other programs look at it: the unique-id is for ever. A name is not longer than 255 octets.
    file.rename(maildir / "cur" / (name.split(":")[0] + ":2,FS")[-255:] if len(name) < 250 else file)
    assert unique_ids(service, maildir) == [unique_id]
    with service.log_in(maildir.name) as client:
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert service.files(maildir.name) == []


# What lies beside messages


def make_socket(path: Path) -> None:
    """Leave a socket behind; the path of one is limited to about 100 octets."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


OTHER_THINGS: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "socket": make_socket,
    "folder": Path.mkdir,
    "folder with mail in it": lambda path: put(path.parent, path.name + "/1.x", folder="."),
    "link to a message": lambda path: path.symlink_to(path.parent / "1.a"),
    "link to somebody else's file": lambda path: path.symlink_to("/etc/passwd"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "dot file": lambda path: put(path.parent, ".2.b", folder="."),
    "unreadable file": lambda path: put(path.parent, path.name, folder=".").chmod(0),
}


@pytest.mark.parametrize("folder", ["new", "cur"])
@pytest.mark.parametrize("thing", OTHER_THINGS)
def test_what_is_no_readable_message_is_left_out_and_left_alone(
    service: Pop3Process, maildir: Path, thing: str, folder: str
) -> None:
    put(maildir, "1.a", folder=folder)
    if thing == "folder with mail in it":
        (maildir / folder / "2.b").mkdir()
    OTHER_THINGS[thing](maildir / folder / "2.b")
    put(maildir, "3.c", folder=folder)
    with service.log_in(maildir.name) as client:
        assert client.ask_lines("UIDL") == [b"1 1.a\r\n", b"2 3.c\r\n"]
        assert client.ask_lines("RETR 2") == LINES
        assert [client.ask(f"DELE {number}")[:3] for number in (1, 2, 3)] == [b"+OK", b"+OK", b"-ER"]
        assert client.quit().startswith(b"+OK")
    assert [name.lstrip(".") for name in os.listdir(maildir / folder)] == ["2.b"]


def test_file_that_becomes_readable_is_shown_at_the_next_login(service: Pop3Process, maildir: Path) -> None:
    put(maildir, "1.a")
    hidden = put(maildir, "2.b")
    hidden.chmod(0)
    for _ in range(2):
        assert unique_ids(service, maildir) == [b"1.a"]
    hidden.chmod(0o600)
    assert unique_ids(service, maildir) == [b"1.a", b"2.b"]


# Unique-ids of the server that was here before


def test_messages_keep_the_order_and_the_unique_ids_of_the_old_server(
    service: Pop3Process, maildir: Path
) -> None:
    put(maildir, "1.a", b"first\n")
    put(maildir, "2.b", b"the second\n")
    assert unique_ids(service, maildir) == [b"1.a", b"2.b"]
    put(maildir, "peep-unique-ids", b"2.b\tUID7-9\n1.a\tUID8-9\n", folder=".")
    put(maildir, "3.c", b"the third one\n")
    for _ in range(2):
        with service.log_in(maildir.name) as client:
            assert client.ask_lines("UIDL") == [b"1 UID7-9\r\n", b"2 UID8-9\r\n", b"3 3.c\r\n"]
            assert client.ask_lines("LIST") == [b"1 12\r\n", b"2 7\r\n", b"3 15\r\n"]
            assert client.ask_lines("RETR 1") == [b"the second\r\n"]
            assert client.quit().startswith(b"+OK")


def test_a_damaged_file_of_unique_ids_hides_nothing_and_is_told_once_a_session(
    service: Pop3Process, maildir: Path
) -> None:
    put(maildir, "1.a")
    put(maildir, "peep-unique-ids", b"garbage\n1.a\told\n", folder=".")
    counted = service.damaged_unique_ids()
    for _ in range(3):
        assert unique_ids(service, maildir) == [b"old"]
    wait_until(lambda: service.damaged_unique_ids() == counted + 3, "they are counted")
    told = [line for line in service.log.read_text().splitlines() if "peep-unique-ids damaged" in line]
    assert len([line for line in told if maildir.name in line and "line 1 cannot be used" in line]) == 3


# The maildir itself


def link_maildir(maildir: Path) -> None:
    elsewhere = maildir.with_name(f"{maildir.name}-elsewhere")
    maildir.rename(elsewhere)
    maildir.symlink_to(elsewhere)


def replaced_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts something else in the place of a file or of a folder."""

    def replace(path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        make(path)

    return replace


def below(name: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what does `change` to `name` in a maildir."""
    return lambda maildir: change(maildir / name)


def add_files_of_other_programs(maildir: Path) -> None:
    for name in ("dovecot-uidlist", "dovecot.index.log", "maildirsize", "subscriptions", "courierimapuiddb"):
        put(maildir, name, folder=".")


def add_imap_folder(maildir: Path) -> None:
    (maildir / ".Sent" / "cur").mkdir(parents=True)
    put(maildir, "3.c", folder=".Sent/cur")


SERVED: dict[str, tuple[Callable[[Path], object], list[bytes]]] = {
    "missing": (shutil.rmtree, []),
    "empty folder": (replaced_by(Path.mkdir), []),
    "only cur": (below("new", shutil.rmtree), [b"2.b"]),
    "only new": (below("cur", shutil.rmtree), [b"1.a"]),
    "no tmp": (below("tmp", shutil.rmtree), [b"1.a", b"2.b"]),
    "files of other programs": (add_files_of_other_programs, [b"1.a", b"2.b"]),
    "with folders for IMAP": (add_imap_folder, [b"1.a", b"2.b"]),
}
REFUSED: dict[str, Callable[[Path], object]] = {
    "file": replaced_by(lambda path: path.write_bytes(CONTENT)),
    "symbolic link": link_maildir,
    "link in a circle": replaced_by(lambda path: path.symlink_to(path.name)),
    "no rights at all": lambda maildir: maildir.chmod(0),
    "new is a file": below("new", replaced_by(lambda path: path.write_bytes(CONTENT))),
    "new is a link elsewhere": below("new", replaced_by(lambda path: path.symlink_to(path.parent / "tmp"))),
    "cur is a link elsewhere": below("cur", replaced_by(lambda path: path.symlink_to(path.parent / "tmp"))),
    "cur is a dangling link": below("cur", replaced_by(lambda path: path.symlink_to("nowhere"))),
    "cur is a FIFO": below("cur", replaced_by(os.mkfifo)),
    "cur cannot be listed": below("cur", lambda path: path.chmod(0o300)),
    "cur cannot be searched": below("cur", lambda path: path.chmod(0o600)),
}


@pytest.mark.parametrize("shape", SERVED)
def test_maildir_of_this_shape_is_served(service: Pop3Process, maildir: Path, shape: str) -> None:
    put(maildir, "1.a")
    put(maildir, "2.b:2,S", folder="cur")
    change, expected = SERVED[shape]
    change(maildir)
    assert unique_ids(service, maildir) == expected
    with service.log_in(maildir.name) as client:
        for number in range(1, len(expected) + 1):
            assert client.ask_lines(f"RETR {number}") == LINES
            assert client.ask(f"DELE {number}").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert unique_ids(service, maildir) == []


@pytest.mark.parametrize("shape", REFUSED)
def test_maildir_of_this_shape_is_refused_with_one_err_and_no_lock_stays(
    service: Pop3Process, maildir: Path, shape: str
) -> None:
    put(maildir, "1.a")
    put(maildir, "2.b:2,S", folder="cur")
    put(maildir, "3.secret", folder="tmp")
    REFUSED[shape](maildir)
    other = service.add_user(CONTENT)
    with service.connect() as client:
        for _ in range(2):
            assert client.ask(f"USER {maildir.name}").startswith(b"+OK")
            assert client.ask(f"PASS {PASSWORD}") == UNREADABLE
        client.log_in(other)
        assert client.ask_lines("RETR 1") == LINES
        assert client.quit().startswith(b"+OK")


# What happens during a session


class Change(NamedTuple):
    """What another program does to message 1 after login, and what is then said and counted."""

    do: Callable[[Path], object]
    is_served: bool
    removed: int
    left: list[str]
    """The names that lie in `new` and `cur` after DELE and QUIT."""
    refusal: bytes = UNAVAILABLE
    is_listed_again: bool = False
    """Whether the next session may take it for the removed message: then QUIT does not say +OK."""


def replace_by_other_message(file: Path) -> None:
    put(file.parent, "other", b"Subject: not the listed one\n", folder=".").rename(file)


def rewrite_in_place(file: Path) -> None:
    # With the same size: only the mtime tells.
    file.write_bytes(CONTENT.replace(b"two", b"\n\n\n"))
    os.utime(file, (1, 1))


def append(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more\n")


CHANGES = {
    "moves to cur": Change(lambda file: file.rename(file.parents[1] / "cur" / "1.a:2,"), True, 1, []),
    "moves to cur as seen": Change(
        lambda file: file.rename(file.parents[1] / "cur" / "1.a:2,S"), True, 1, []
    ),
    "moves to cur with flags": Change(
        lambda file: file.rename(file.parents[1] / "cur" / "1.a:2,FRS"), True, 1, []
    ),
    "gets a link in cur": Change(
        lambda file: os.link(file, file.parents[1] / "cur" / "1.a:2,S"), True, 1, []
    ),
    "vanishes": Change(Path.unlink, False, 0, []),
    "gets another unique part": Change(
        lambda file: file.rename(file.parents[1] / "cur" / "9.z:2,S"),
        False,
        0,
        ["9.z:2,S"],
        is_listed_again=True,
    ),
    "is replaced by another message": Change(
        replace_by_other_message, False, 0, ["1.a"], is_listed_again=True
    ),
    "is replaced by a FIFO": Change(replaced_by(os.mkfifo), False, 0, ["1.a"]),
    "is replaced by a link": Change(
        replaced_by(lambda file: file.symlink_to("/etc/passwd")), False, 0, ["1.a"]
    ),
    "is rewritten in place": Change(rewrite_in_place, False, 1, []),
    "grows": Change(append, False, 1, []),
    "becomes shorter": Change(lambda file: os.truncate(file, 3), False, 1, []),
    "becomes unreadable": Change(lambda file: file.chmod(0), False, 1, [], UNREADABLE_MESSAGE),
    "goes with its folder": Change(lambda file: shutil.rmtree(file.parent), False, 0, []),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_message_that_changes_during_a_session(service: Pop3Process, maildir: Path, kind: str) -> None:
    change = CHANGES[kind]
    file = put(maildir, "1.a")
    put(maildir, "2.b:2,S", folder="cur")
    removed_before = service.counters().removed_emails
    with service.log_in(maildir.name) as client:
        change.do(file)
        for command in ("RETR 1", "TOP 1 9"):
            if change.is_served:
                assert client.ask_lines(command) == LINES
            else:
                assert client.ask(command) == change.refusal
        # The session goes on, with what it listed at login.
        assert client.ask_lines("LIST") == [b"%d %d\r\n" % (number, OCTETS) for number in (1, 2)]
        assert client.ask_lines("UIDL") == [b"1 1.a\r\n", b"2 2.b\r\n"]
        assert client.ask_lines("RETR 2") == LINES
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"-ERR [SYS/TEMP]" if change.is_listed_again else b"+OK")
    assert service.files(maildir.name) == sorted([*change.left, "2.b:2,S"])
    removed = removed_before + change.removed
    wait_until(lambda: service.counters().removed_emails >= removed, "the removal is counted")
    assert service.counters().removed_emails == removed


def test_mail_that_arrives_during_a_session_is_shown_by_the_next_one(
    service: Pop3Process, maildir: Path
) -> None:
    put(maildir, "2.b")
    with service.log_in(maildir.name) as client:
        put(maildir, "1.a", b"Subject: late\n")
        put(maildir, "3.c:2,S", folder="cur")
        assert client.ask_lines("UIDL") == [b"1 2.b\r\n"]
        assert client.ask("STAT") == b"+OK 1 %d\r\n" % OCTETS
        assert client.ask("RSET").startswith(b"+OK 1 ")
        assert client.ask("RETR 2").startswith(b"-ERR")
        assert client.ask_lines("RETR 1") == LINES
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert unique_ids(service, maildir) == [b"1.a", b"3.c"]


def test_each_delivery_of_many_in_quick_succession_shows_at_the_next_login(
    service: Pop3Process, maildir: Path
) -> None:
    for count in range(1, 21):
        put(maildir, f"{count}.a")
        assert len(unique_ids(service, maildir)) == count


def test_message_rewritten_in_place_is_refused_once_and_the_next_session_announces_it_anew(
    service: Pop3Process, maildir: Path
) -> None:
    file = put(maildir, "1.a")
    put(maildir, "2.b:2,S", folder="cur")

    def is_refused() -> bool:
        """Change the file, which changes no folder; return whether a session announces what it was before."""
        append(file)
        lines = [*LINES, *[b"more\r\n"] * file.read_bytes().count(b"more")]
        with service.log_in(maildir.name) as client:
            announced = client.ask("LIST 1")
            assert client.ask("STAT").split()[1] == b"2"
            if announced == b"+OK 1 %d\r\n" % len(b"".join(lines).replace(b"..one", b".one")):
                assert client.ask_lines("RETR 1") == lines
                assert client.quit().startswith(b"+OK")
                return False
            assert client.ask("RETR 1") == UNAVAILABLE
            assert client.ask_lines("RETR 2") == LINES
            assert client.quit().startswith(b"+OK")
        with service.log_in(maildir.name) as client:
            assert client.ask_lines("RETR 1") == lines
        return True

    # The listing is remembered once the folders have not changed for as long as a server's clock may tick.
    wait_until(is_refused, "a remembered listing is served")


# One unique part twice


def test_one_file_in_new_and_cur_is_one_message_and_goes_whole(service: Pop3Process, maildir: Path) -> None:
    os.link(put(maildir, "1.a"), maildir / "cur" / "1.a:2,S")
    with service.log_in(maildir.name) as client:
        assert client.ask("STAT") == b"+OK 1 %d\r\n" % OCTETS
        assert client.ask_lines("RETR 1") == LINES
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert service.files(maildir.name) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("new/1.a", "cur/1.a:2,S"), ("cur/1.a:2,", "cur/1.a:2,S"), ("new/1.a:2,S", "new/1.a")],
)
def test_two_files_with_one_unique_part_are_two_messages(
    service: Pop3Process, maildir: Path, first: str, second: str
) -> None:
    old, young = put(maildir, first, b"old\n", "."), put(maildir, second, b"young one\n", ".")
    os.utime(old, (1000, 1000))
    os.utime(young, (2000, 2000))
    with service.log_in(maildir.name) as client:
        by_unique_id = {
            line.split()[1]: client.ask_lines(f"RETR {number}")
            for number, line in enumerate(client.ask_lines("UIDL"), 1)
        }
    assert by_unique_id.pop(b"1.a") == [b"old\r\n"]
    ((unique_id, lines),) = by_unique_id.items()
    assert lines == [b"young one\r\n"]
    service.expect_free(maildir.name)
    with service.log_in(maildir.name) as client:
        numbers = {line.split()[1]: line.split()[0].decode() for line in client.ask_lines("UIDL")}
        assert numbers.keys() == {b"1.a", unique_id}
        assert client.ask(f"DELE {numbers[b'1.a']}").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert service.files(maildir.name) == [young.name]
    with service.log_in(maildir.name) as client:
        assert client.ask_lines("UIDL") == [b"1 " + unique_id + b"\r\n"]
        assert client.ask_lines("RETR 1") == [b"young one\r\n"]


def test_quit_does_not_say_ok_of_a_message_that_will_be_listed_again(
    service: Pop3Process, maildir: Path
) -> None:
    replaced, renamed = put(maildir, "new/1.a", b"one\n", "."), put(maildir, "new/2.b", b"two\n", ".")
    removed = put(maildir, "new/3.c", b"three\n", ".")
    with service.log_in(maildir.name) as client:
        for number in (1, 2, 3):
            assert client.ask(f"DELE {number}").startswith(b"+OK")
        replaced.rename(maildir / "old")
        put(maildir, "cur/1.a:2,S", b"one, checked\n", ".")
        renamed.rename(maildir / "cur" / "2.b,S=4:2,S")
        removed.unlink()
        assert client.quit().startswith(b"-ERR [SYS/TEMP]")
    with service.log_in(maildir.name) as client:
        assert client.ask_lines("UIDL") == [b"1 1.a\r\n", b"2 2.b,S=4\r\n"]
