"""`peepctl compare` with two servers over real sockets."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from peepctl.__main__ import app
from peepctl.server import Exit
from support.scripted_pop3 import PASSWORD, ScriptedServer, serving

MAIL = [(b"id-%d" % number, b"Subject: %d\r\n\r\n" % number + number * b"x\r\n") for number in range(1, 4)]


async def run(old: ScriptedServer, new: ScriptedServer, *options: str, users: str) -> Result:
    """Run the command in a thread, beside the servers' event loop; `users` is its standard input."""
    urls = ("--old", f"pop3://127.0.0.1:{old.port}", "--new", f"pop3://127.0.0.1:{new.port}")
    arguments = ["compare", *urls, "--users", "-", *options]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, users))


async def compared(old: ScriptedServer, new: ScriptedServer, *options: str, users: str) -> Result:
    async with serving(old), serving(new):
        return await run(old, new, *options, users=users)


def lines(*usernames: str) -> str:
    return "".join(f"{name}:{PASSWORD}\n" for name in usernames)


async def test_same_mail_is_one_line_a_user_and_exit_code_0() -> None:
    maildrops = {"alice": MAIL, "bo": []}
    result = await compared(ScriptedServer(maildrops), ScriptedServer(maildrops), users=lines("alice", "bo"))
    assert result.stdout.splitlines() == [
        "alice  3 of 3 the same, in the same order",
        "bo     0 of 0 the same, in the same order",
        "2 of 2 users have the same mail on both servers; 0 differ, 0 could not be compared",
    ]
    assert (result.exit_code, result.stderr) == (Exit.DONE, "")


async def test_nothing_is_fetched_or_removed_and_sessions_end_with_quit() -> None:
    old, new = ScriptedServer({"alice": MAIL}), ScriptedServer({"alice": MAIL})
    await compared(old, new, users=lines("alice"))
    for server in (old, new):
        assert {line.split()[0] for line in server.asked} == {
            *(b"CAPA", b"USER", b"PASS", b"LIST", b"UIDL", b"QUIT")
        }
        assert server.asked.count(b"QUIT") == server.connections


async def test_differences_and_faults_are_told_apart() -> None:
    old = ScriptedServer({"alice": MAIL, "bob": MAIL, "carol": MAIL})
    new = ScriptedServer({"alice": MAIL[:2], "carol": [MAIL[1], MAIL[0], MAIL[2]]})
    result = await compared(old, new, users=lines("alice", "bob", "carol"))
    assert result.stdout.splitlines() == [
        "alice  2 of 3 the same, in the same order:",
        "    message 3 (id-3) is not on the new server",
        "bob    cannot be compared: the new server: it refuses PASS: [AUTH] no",
        "carol  3 of 3 the same, IN ANOTHER ORDER:",
        "    the order differs from the 1. shared message on: id-1 on the old server, id-2 on the new",
        "0 of 3 users have the same mail on both servers; 2 differ, 1 could not be compared",
    ]
    assert result.exit_code == Exit.DIFFERENT


async def test_json_has_the_same() -> None:
    old, new = ScriptedServer({"alice": MAIL, "bob": MAIL}), ScriptedServer({"alice": MAIL[:2]})
    result = await compared(old, new, "--json", users=lines("alice", "bob"))
    assert json.loads(result.stdout) == {
        "users": [
            {
                "username": "alice",
                "old_messages": 3,
                "new_messages": 2,
                "same": 2,
                "in_same_order": True,
                "differences": ["message 3 (id-3) is not on the new server"],
            },
            {"username": "bob", "error": "the new server: it refuses PASS: [AUTH] no"},
        ],
        "same": 0,
        "different": 1,
        "not_compared": 1,
    }


async def test_no_more_users_than_asked_for_are_compared_at_a_time() -> None:
    names = [f"user{number}" for number in range(20)]
    old, new = (dict.fromkeys(names, MAIL) for _ in range(2))
    servers = ScriptedServer(old), ScriptedServer(new)
    result = await compared(*servers, "--at-once", "3", users=lines(*names))
    assert result.exit_code == Exit.DONE
    assert all(server.most_open <= 3 for server in servers)
    assert servers[0].connections == 21


async def test_password_is_in_no_output_even_if_a_server_quotes_it() -> None:
    old, new = ScriptedServer({"alice": MAIL}), ScriptedServer({"alice": MAIL})
    old.lies[b"PASS geheim"] = b"-ERR no user alice with geheim\r\n"
    result = await compared(old, new, users="alice:geheim\n")
    assert "geheim" not in result.output
    assert "the old server: it refuses PASS; the new server" in result.output


@pytest.mark.parametrize("absent", ["old", "new"])
async def test_server_that_is_away_ends_it_before_any_login(absent: str) -> None:
    servers = {"old": ScriptedServer({"alice": MAIL}), "new": ScriptedServer({"alice": MAIL})}
    async with AsyncExitStack() as stack:
        for server in servers.values():
            await stack.enter_async_context(serving(server))
        async with serving(ScriptedServer()) as gone:
            pass
        servers[absent].port = gone.port
        result = await run(servers["old"], servers["new"], users=lines("alice"))
    assert result.exit_code == Exit.NOT_CONNECTED
    assert f"peepctl: cannot connect to 127.0.0.1:{gone.port}: " in result.stderr
    assert not any(b"USER" in line for server in servers.values() for line in server.asked)


@pytest.mark.parametrize(
    ("old", "complaint"),
    [
        ("imap://old", "--old: must be pop3s://HOST"),
        ("pop3s://old --ca-file /absent", "/absent cannot be read: No such file or directory"),
        ("pop3s://old --users /absent", "/absent cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(old: str, complaint: str, tmp_path: Path) -> None:
    arguments = ["compare", "--new", "pop3s://new", "--users", "-", "--old", *old.split()]
    result = CliRunner().invoke(app, arguments, "alice:x\n")
    assert result.exit_code == Exit.USAGE
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
