"""Random valid sessions: Peep and Dovecot, over copies of the same mail, answer alike.

Compared are the status of every reply, the numbers of STAT, LIST and UIDL, unique-ids, each octet
of RETR and TOP, and the files that remain. PEEP_DIFFERENTIAL_SESSIONS says how many sessions to run;
`make test-all` runs four times as many.
"""

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.clients import lack
from support.dovecot import DovecotServer, is_installed
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process

SESSIONS_OF_A_SEED = 150
SEEDS = max(1, -(-int(os.environ.get("PEEP_DIFFERENTIAL_SESSIONS", "600")) // SESSIONS_OF_A_SEED))
MAILDROPS = 6


# What differs on purpose


@dataclass(frozen=True, slots=True)
class OnPurpose:
    """A difference: the sentence that Peep follows, the messages concerned, and what Peep does to them.

    `more_octets` is by how much Peep's size exceeds the other one; `text` makes Peep's text of
    RETR and TOP, as sent, from the other one's.
    """

    reason: str
    concerns: Callable[[bytes], bool]
    more_octets: int = 0
    text: Callable[[bytes], bytes] = lambda theirs: theirs


def without_blank_line(theirs: bytes) -> bytes:
    assert theirs == b"\r\n"
    return b""


ON_PURPOSE = (
    OnPurpose(
        "Peep counts the CRLF that it sends after a last line without one, as RFC 1939 section 11 says: a "
        "size counts each line end as two octets, so that the announced size is what RETR sends.",
        concerns=lambda content: content != b"" and not content.endswith(b"\n"),
        more_octets=2,
    ),
    OnPurpose(
        "Peep sends no line of an empty message, as RFC 1939 section 5 says: a scan listing gives the exact "
        "size of the message, and this one is listed with 0 octets.",
        concerns=lambda content: content == b"",
        text=without_blank_line,
    ),
    OnPurpose(
        "Peep doubles the dot that opens a message, as RFC 1939 section 3 says: any line that begins with "
        "the termination octet is byte-stuffed, and the first line is one of them.",
        concerns=lambda content: content.startswith(b"."),
        text=lambda theirs: b"." + theirs,
    ),
)


def more_octets(content: bytes) -> int:
    return sum(difference.more_octets for difference in ON_PURPOSE if difference.concerns(content))


def text_of_peep(content: bytes, theirs: bytes) -> bytes:
    for difference in ON_PURPOSE:
        if difference.concerns(content):
            theirs = difference.text(theirs)
    return theirs


# What is asked


@dataclass(frozen=True, slots=True)
class Script:
    """One session: batches of command lines, each sent in one write and answered before the next one.

    Where it is cut, the client's end of stream comes right after the last batch, whose replies
    nobody looks at.
    """

    batches: tuple[tuple[str, ...], ...]
    is_cut: bool
    line_end: str

    @property
    def ends_with_quit(self) -> bool:
        return self.batches[-1][-1].upper() == "QUIT"


class Author:
    """Writes messages and sessions from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def message(self) -> bytes:
        line_end = self._random.choice([b"\n", b"\n", b"\r\n"])
        header = [self._header_line(number) for number in range(self._random.choice([0, 1, 1, 2, 5]))]
        header += self._eight_bit_header() if self._random.random() < 0.2 else []
        if header and self._random.random() < 0.1:
            header[0] = b"." + header[0]
        if self._random.random() < 0.1:
            lines = header
        else:
            lines = [
                *header,
                b"",
                *(self._body_line() for _ in range(self._random.choice([0, 1, 2, 3, 8, 40]))),
            ]
        content = b"".join(line + self._one_of(line_end) for line in lines)
        return content.removesuffix(b"\n").removesuffix(b"\r") if self._random.random() < 0.2 else content

    def _one_of(self, line_end: bytes) -> bytes:
        return b"\r\n" if self._random.random() < 0.03 else line_end

    def _header_line(self, number: int) -> bytes:
        folded = b"\n\tfolded" if self._random.random() < 0.1 else b""
        return b"X-Header-%d: %b%b" % (number, b"v" * self._random.randrange(90), folded)

    def _eight_bit_header(self) -> list[bytes]:
        return self._random.choice(
            [
                ["Received: fröm a".encode(), "Subject: Grüße".encode(), "To: ä <ü@example.org>".encode()],
                [b"Content-Type: text/plain; charset=windows-1251", b"Subject: \xcf\xf0\xe8\xe2\xe5\xf2"],
                [b"\xef\xbb\xbfSubject: after a byte-order mark"],
                ["Привет".encode(), "no field at all, € 500".encode()],
                [bytes(self._random.choices(range(0x80, 0x100), k=300))],
            ]
        )

    def _body_line(self) -> bytes:
        line = self._random.choice(
            [b"", b".", b"..", b".dot", b"...", b"text", b" .", b"From x", b"a\rb", b"-ERR"]
        )
        if self._random.random() < 0.1:
            return line + bytes(self._random.choices(range(0x80, 0x100), k=30))
        if self._random.random() < 0.03:
            return line + b"long" * self._random.choice([20, 250, 1024, 5000])
        return line

    def maildrop(self) -> dict[str, bytes]:
        count = self._random.choice([0, 1, 2, 3, 4, 6, 9])
        time = itertools.accumulate(self._random.randint(1, 999) for _ in range(count))
        return {
            self._name(1_700_000_000 + second, content): content
            for second, content in zip(time, iter(self.message, None), strict=False)
        }

    def _name(self, time: int, content: bytes) -> str:
        size = f",S={len(content)}" if self._random.random() < 0.3 else ""
        return f"{time}.M{self._random.randrange(10**6)}P7.host{size}"

    def folder(self) -> tuple[str, str]:
        """Return where a file lies, and what follows its unique part."""
        return self._random.choice([("new", ""), ("cur", ":2,"), ("cur", ":2,S"), ("cur", ":2,FRS")])

    def does(self, probability: float) -> bool:
        return self._random.random() < probability

    def maildrop_number(self) -> int:
        return self._random.randrange(MAILDROPS)

    def script(self, username: str, count: int) -> Script:
        commands = [*self._before_login(username), f"USER {username}", f"PASS {PASSWORD}"]
        if self.does(0.03):
            commands = [*self._before_login(username), "QUIT"]
        else:
            commands += [self._command(count) for _ in range(self._random.randrange(1, 16))]
            commands += ["QUIT"] * self.does(0.6)
        batches = tuple(self._batches([self._in_any_case(command) for command in commands]))
        is_cut = commands[-1] != "QUIT" and self.does(0.5)
        return Script(batches, is_cut, line_end=self._random.choice(["\r\n", "\r\n", "\n"]))

    def _before_login(self, username: str) -> list[str]:
        if self.does(0.01):  # both servers take their time over it
            return [f"USER {username}", "PASS not-this-one"]
        if self.does(0.1):
            return [self._random.choice(["STAT", "LIST", "RETR 1", "NOOP", "RSET", "UIDL", "PASS x", "CAPA"])]
        return []

    def _command(self, count: int) -> str:
        number = self._random.randint(1, max(1, count))
        if self.does(0.08):
            number = self._random.choice([0, count + 1, 99, 2**31, 2**32 + 1, 10**30])
        lines = self._random.choice([0, 0, 1, 2, 3, 10, 1000, 2**31, 2**32 + 1])
        return self._random.choice(
            [
                *["STAT", "LIST", "UIDL", "NOOP", "CAPA", "RSET"],
                *[f"LIST {number}", f"UIDL {number}", f"USER x{number}"],
                *[f"RETR {number}", f"RETR {number}", f"TOP {number} {lines}", f"TOP {number} {lines}"],
                *[f"DELE {number}", f"DELE {number}", f"DELE {number}"],
            ]
        )

    def _in_any_case(self, command: str) -> str:
        keyword, space, rest = command.partition(" ")
        return self._random.choice([keyword, keyword.lower(), keyword.capitalize()]) + space + rest

    def _batches(self, commands: list[str]) -> Iterator[tuple[str, ...]]:
        longest = self._random.choice([1, 1, 3, 99])
        while commands:
            length = self._random.randint(1, longest)
            yield tuple(commands[:length])
            commands = commands[length:]


# What is answered


@dataclass(frozen=True, slots=True)
class Reply:
    """The status line in words, and the lines that follow it as sent, without the last one."""

    words: list[bytes]
    text: bytes

    @property
    def status(self) -> bytes:
        return self.words[0]

    def rows(self) -> list[list[bytes]]:
        """Return the words of each following line."""
        return [line.split() for line in self.text.splitlines()]


def read_reply(client: Pop3Client, command: str) -> Reply:
    line = client.line()
    assert line.endswith(b"\r\n"), f"no whole line: {line!r}"
    keyword, *arguments = command.upper().split()
    has_text = keyword in ("CAPA", "RETR", "TOP") or (keyword in ("LIST", "UIDL") and not arguments)
    lines = []
    if has_text and line.startswith(b"+OK"):
        while (text := client.line()) != b".\r\n":
            assert text.endswith(b"\r\n"), f"no whole line: {text!r}"
            lines.append(text)
    return Reply(line.split(), b"".join(lines))


class Comparison:
    """Goes through one session's replies of both servers; `contents` are the messages by number."""

    def __init__(self, contents: list[bytes]) -> None:
        self._contents = dict(enumerate(contents, 1))
        self._marked: set[int] = set()

    def check(self, command: str, ours: Reply, theirs: Reply) -> None:
        """Check that two replies to the same command agree."""
        assert ours.status == theirs.status
        if ours.status == b"+OK":
            words = command.upper().split()
            checks = {
                "STAT": self._stat,
                "LIST": self._list,
                "UIDL": self._uidl,
                "RETR": self._text,
                "TOP": self._text,
            }
            checks.get(words[0], self._note)(words, ours, theirs)

    def _stat(self, _command: list[str], ours: Reply, theirs: Reply) -> None:
        kept = [content for number, content in self._contents.items() if number not in self._marked]
        count, octets = map(int, theirs.words[1:3])
        assert [int(word) for word in ours.words[1:3]] == [count, octets + sum(map(more_octets, kept))]

    def _list(self, command: list[str], ours: Reply, theirs: Reply) -> None:
        rows = [theirs.words[1:3]] if command[1:] else theirs.rows()
        wanted = [
            [number, b"%d" % (int(octets) + more_octets(self._contents[int(number)]))]
            for number, octets in rows
        ]
        assert ([ours.words[1:3]] if command[1:] else ours.rows()) == wanted

    def _uidl(self, command: list[str], ours: Reply, theirs: Reply) -> None:
        if command[1:]:
            assert ours.words[1:3] == theirs.words[1:3]
        assert ours.text == theirs.text

    def _text(self, command: list[str], ours: Reply, theirs: Reply) -> None:
        assert ours.text == text_of_peep(self._contents[int(command[1])], theirs.text)

    def _note(self, command: list[str], _ours: Reply, _theirs: Reply) -> None:
        if command[0] == "DELE":
            self._marked.add(int(command[1]))
        if command[0] == "RSET":
            self._marked.clear()


# Who is asked


@dataclass(slots=True)
class Pair:
    """Both servers, with a copy of each maildrop for each of them."""

    peep: Pop3Process
    dovecot: DovecotServer
    usernames: list[str]
    addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fill(self, username: str, author: Author) -> None:
        """Give a user other mail, the same on both sides."""
        for root in (self.peep.mail, self.dovecot.mail):
            shutil.rmtree(root / username, ignore_errors=True)
            for folder in ("", "new", "cur", "tmp"):
                self._new_folder(root / username / folder)
        for name, content in author.maildrop().items():
            folder, flags = author.folder()
            for root in (self.peep.mail, self.dovecot.mail):
                path = root / username / folder / f"{name}{flags}"
                path.write_bytes(content)
                self.dovecot.hand_over(path)

    def _new_folder(self, path: Path) -> None:
        path.mkdir()
        self.dovecot.hand_over(path)

    def files(self, root: Path, username: str) -> dict[str, bytes]:
        """Return what messages a maildrop has, by unique part, in the order of their names."""
        paths = (root / username).glob("[nc][eu][wr]/*")
        return dict(sorted((path.name.partition(":")[0], path.read_bytes()) for path in paths))

    def play(self, script: Script, contents: list[bytes]) -> None:
        """Play a script to both servers at the same time, and compare what they answer."""
        # Wrong passwords are counted by address.
        number = next(self.addresses)
        source = f"127.1.{number // 250}.{number % 250 + 1}"
        comparison = Comparison(contents)
        with (
            Pop3Client(self.peep.address, source=source) as ours,
            Pop3Client(self.dovecot.address, source=source) as theirs,
        ):
            for batch in script.batches:
                is_unheard = script.is_cut and batch is script.batches[-1]
                for client in (ours, theirs):
                    client.send("".join(command + script.line_end for command in batch).encode())
                for command in () if is_unheard else batch:
                    replies = read_reply(ours, command), read_reply(theirs, command)
                    try:
                        comparison.check(command, *replies)
                    except AssertionError as error:
                        raise AssertionError(f"{command}: {replies[0]}, but {replies[1]}") from error
            rests = [client.exchange(b"") for client in (ours, theirs)]
        assert script.is_cut or rests == [b"", b""]


@pytest.fixture(scope="module")
def pair(service: Pop3Process) -> Iterator[Pair]:
    if not is_installed():
        lack("Dovecot 2.3 with its POP3 part")
    with DovecotServer() as dovecot:
        yield Pair(service, dovecot, [service.add_user() for _ in range(MAILDROPS)])


@pytest.mark.parametrize("difference", ON_PURPOSE, ids=lambda difference: difference.reason.partition(",")[0])
def test_each_difference_on_purpose_concerns_some_of_the_messages_and_not_most(difference: OnPurpose) -> None:
    author = Author(0)
    messages = [author.message() for _ in range(1000)]
    assert 5 < sum(map(difference.concerns, messages)) < 300


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_sessions_are_answered_as_dovecot_answers_them(pair: Pair, seed: int) -> None:
    author = Author(seed)
    for username in pair.usernames:
        pair.fill(username, author)
    for number in range(SESSIONS_OF_A_SEED):
        username = pair.usernames[author.maildrop_number()]
        before = pair.files(pair.peep.mail, username)
        script = author.script(username, len(before))
        context = f"seed {seed}, session {number}: {script}\nmail: {before}\n"
        try:
            pair.play(script, list(before.values()))
            after = pair.files(pair.peep.mail, username)
            assert after == pair.files(pair.dovecot.mail, username)
            assert script.ends_with_quit or after == before
        except AssertionError as error:
            raise AssertionError(f"{context}{error}") from error
        if after != before and author.does(0.7):
            pair.fill(username, author)
