"""Lists of users, as other servers and databases leave them, in any state of damage."""

import io
import random
import tracemalloc

import pytest

from peepctl.sources import WrongSettings
from peepctl.user_lists import MAX_LINE_OCTETS, Entry, Format, Unusable, UserList

HASH = "{SHA512-CRYPT}$6$salt$hash"
BARE = "$6$salt$hash"


def read(
    text: str | bytes, wanted: Format | None = None, domain: str = ""
) -> tuple[Format, list[Entry | Unusable]]:
    octets = text if isinstance(text, bytes) else text.encode()
    users = UserList(io.BytesIO(octets), "list", wanted, domain)
    return users.format, list(users)


def entries(text: str, wanted: Format | None = None) -> tuple[Format, list[tuple[int, str, str]]]:
    found, users = read(text, wanted)
    assert all(isinstance(user, Entry) for user in users), users
    return found, [
        (user.line, user.username, user.password_hash) for user in users if isinstance(user, Entry)
    ]


@pytest.mark.parametrize(
    ("text", "wanted", "users"),
    [
        (f"alice:{HASH}\n\n# bob\nbob:{BARE}\n", Format.HTPASSWD, [(1, "alice", HASH), (4, "bob", BARE)]),
        (
            f"a@x.org:{HASH}:1000:1000::/home/a:/bin/false:userdb_mail=maildir:~/m\nb@x.org:{BARE}\n",
            Format.PASSWD_FILE,
            [(1, "a@x.org", HASH), (2, "b@x.org", BARE)],
        ),
        (
            f"alice:{BARE}:16400::::::\nbob:!:16400:0:99999:7:::\n",
            Format.SHADOW,
            [(1, "alice", BARE), (2, "bob", "!")],
        ),
        (
            f"a@x.org|{HASH}\nb@x.org|{HASH}|userdb_quota_rule=*:bytes=1G\n",
            Format.POSTFIX_ACCOUNTS,
            [(1, "a@x.org", HASH), (2, "b@x.org", HASH)],
        ),
        (
            f'username,quota,password\r\na@x.org,1,{BARE}\r\n"b@x.org",2,"{HASH}"\r\n',
            Format.CSV,
            [(2, "a@x.org", BARE), (3, "b@x.org", HASH)],
        ),
        ("e-mail;x\n" + f"a;{BARE}\n", None, []),
        (f"a@x.org,{BARE}\n", Format.CSV, [(1, "a@x.org", BARE)]),
        (f"\N{ZERO WIDTH NO-BREAK SPACE}Email;Hash\na@x.org;{BARE}\n", Format.CSV, [(2, "a@x.org", BARE)]),
        (
            f"username\tname\tpassword\na@x.org\tAnn\t{BARE}\n",
            Format.TABLE,
            [(2, "a@x.org", BARE)],
        ),
        (
            f" username | password \n----------+----------\n a@x.org  | {BARE}\n(1 row)\n\n",
            Format.TABLE,
            [(3, "a@x.org", BARE)],
        ),
        (f"a@x.org\t{BARE}\nb@x.org\t{BARE}", Format.TABLE, [(1, "a@x.org", BARE), (2, "b@x.org", BARE)]),
        ("", Format.PASSWD_FILE, []),
        ("# nobody\n", Format.PASSWD_FILE, []),
    ],
)
def test_format_is_recognised_and_read(
    text: str, wanted: Format | None, users: list[tuple[int, str, str]]
) -> None:
    if wanted is None:
        with pytest.raises(WrongSettings, match="--format"):
            read(text)
    else:
        assert entries(text) == (wanted, users)
        assert entries(text, wanted) == (wanted, users)


def test_domain_is_added_to_names_without_one() -> None:
    _, users = read(f"alice:{BARE}\nbob@x.org:{BARE}\n", domain="example.org")
    assert [user.username for user in users] == ["alice@example.org", "bob@x.org"]


def test_verifier_of_an_export_goes_with_its_hash() -> None:
    verifier = "{SCRAM-SHA-256}15000,a,b,c"
    text = f"alice:{{ARGON2ID}}$argon2id$x::::::nologin peep_scram={verifier} x=y\n"
    assert entries(text) == (Format.PASSWD_FILE, [(1, "alice", f"{{ARGON2ID}}$argon2id$x {verifier}")])


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"alice\n", "no line of the format passwd-file"),
        (b"alice{SSHA}abc::::::\n", "no `:` between the name and the hash"),
        (b"alice$6$abc$def:1:2\n", "no `:` between the name and the hash"),
        (b"\xff\xfe:x\n", "not UTF-8"),
        (b"a" * 129 + b":x\n", "name has more than 128 characters"),
        (b"a:" + b"x" * 513 + b"\n", "hash has more than 512 characters"),
        (b"a:" + b"x" * MAX_LINE_OCTETS + b"\n", "line has more than 16,384 octets"),
    ],
)
def test_unusable_line_is_told_by_its_number_and_the_others_hold(octets: bytes, reason: str) -> None:
    around = f"alice:{HASH}\n".encode(), f"bob:{HASH}".encode()
    _, users = read(around[0] + octets + around[1], Format.PASSWD_FILE)
    first, wrong, last = users
    assert (first, last) == (Entry(1, "alice", HASH), Entry(3, "bob", HASH))
    assert isinstance(wrong, Unusable)
    assert wrong.line == 2
    assert reason in wrong.reason


def test_wrong_first_lines_do_not_hide_the_format() -> None:
    assert read(b"\xff\n" + f"a@x.org|{HASH}\n".encode())[0] is Format.POSTFIX_ACCOUNTS


def test_what_is_no_text_has_no_format() -> None:
    octets = random.Random(20).randbytes(10_000)
    with pytest.raises(WrongSettings, match="is no list of users"):
        read(octets)
    assert read(octets, Format.CSV)[0] is Format.CSV


def test_damaged_csv_is_no_user() -> None:
    _, users = read('username,password\n"a\0b,c\n', Format.CSV)
    assert [user.line for user in users] == [2]
    assert isinstance(users[0], Unusable)


@pytest.mark.parametrize("head", ["username,quota", "quota,password"])
def test_missing_column_is_named(head: str) -> None:
    with pytest.raises(WrongSettings, match="line 1: it names columns, but not one of"):
        read(f"{head}\na,b\n", Format.CSV)


class Endless(io.RawIOBase):
    """A file of lines of ten megabytes, then 20,000 short ones."""

    def __init__(self) -> None:
        self.parts = [b"x" * 10_000_000 + b"\n"] * 3 + [b"y:z\n" * 1000] * 20
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if not self.rest and self.parts:
            self.rest = memoryview(self.parts.pop(0))
        taken, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def test_huge_lines_and_many_lines_take_no_memory() -> None:
    file = io.BufferedReader(Endless())
    tracemalloc.start()
    try:
        users = UserList(file, "list", Format.PASSWD_FILE)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        count = sum(1 for _ in users)
        assert tracemalloc.get_traced_memory()[1] - before < 100_000
    finally:
        tracemalloc.stop()
    assert count == 20_003
