"""How far the moves are, over PEEP, HTTP, `/metrics` and peepctl."""

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from peep_client import Move, NotPeep, connect
from peep_client.protocol.records import parse_move
from peepctl.commands import moves as move_commands
from peepctl.server import Exit
from pop3_service.moving import moves as moves_of_a_process
from state_store.moves import MoveProgress
from state_store.records import Instance
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import api_client
from support.busy_store import metrics_of
from support.moving_service import moving_service
from support.peep_gateway_server import ADMINISTRATOR, PASSWORD, Gateway
from support.peepctl_program import Done, Peepctl
from support.scripted_pop3 import PASSWORD as USERS_PASSWORD
from support.scripted_pop3 import ScriptedServer, serving

REASON = "the old server: it refuses RETR: 100 % gone"


async def make_moves(repository: StateRepository) -> None:
    """Let a move be under way, one be interrupted, one have failed, two be done, and a user be removed."""
    for instance in ("live", "dead"):
        await repository.register_instance(Instance(instance, "host", 1, "1", 0.0))
    await repository.announce_source("old.example.org:995", by=OPERATOR)
    for number, name in enumerate(("alice", "bob", "carol", "dave", "erin")):
        await repository.begin_move(name, "dead" if name == "bob" else "live", str(number))
    await repository.note_move("alice", "live", MoveProgress(412, 1532))
    await repository.end_instance("dead")
    await repository.end_move("carol", "live", "2", MoveProgress(3, 4), REASON)
    for number, name in ((3, "dave"), (4, "erin")):
        await repository.end_move(name, "live", str(number), MoveProgress(1, 1))


@pytest.fixture
async def moving(repository: StateRepository) -> StateRepository:
    await make_moves(repository)
    return repository


async def test_http_lists_them(moving: StateRepository) -> None:
    async with api_client(moving) as client:
        found = (await client.get("/v1/moves")).json()
    times = [datetime.fromisoformat(move.pop("at")).timestamp() for move in found["moves"]]
    assert all(time.time() - 60 < one <= time.time() + 1 for one in times)
    assert found == {
        "source": "old.example.org:995",
        "moved": 2,
        "moves": [
            {"username": "alice", "state": "moving", "messages_here": 412, "messages": 1532, "reason": None},
            {"username": "bob", "state": "interrupted", "messages_here": 0, "messages": 0, "reason": None},
            {"username": "carol", "state": "failed", "messages_here": 3, "messages": 4, "reason": REASON},
        ],
    }


async def test_without_an_old_server_http_says_so(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        assert (await client.get("/v1/moves")).json() == {"source": None, "moved": 0, "moves": []}


async def test_metrics_count_them(moving: StateRepository) -> None:
    text = (await metrics_of(moving)).text
    counts = dict(line.split(" ") for line in text.splitlines() if line.startswith("peep_pop3_moves{"))
    assert counts == {
        'peep_pop3_moves{state="moving"}': "1.0",
        'peep_pop3_moves{state="interrupted"}': "1.0",
        'peep_pop3_moves{state="failed"}': "1.0",
        'peep_pop3_moves{state="moved"}': "2.0",
    }


async def test_peep_lists_and_counts_them(gateway: Gateway) -> None:
    await make_moves(gateway.repository)

    def ask() -> tuple[list[Move], int]:
        with connect(*gateway.address, ADMINISTRATOR, PASSWORD) as peep:
            return peep.moves(), peep.moved_users()

    moves, moved = await asyncio.to_thread(ask)
    assert [(one.username, one.state, one.messages_here, one.messages, one.reason) for one in moves] == [
        ("alice", "moving", 412, 1532, None),
        ("bob", "interrupted", 0, 0, None),
        ("carol", "failed", 3, 4, REASON),
    ]
    assert all(0 <= one.seconds < 60 for one in moves)
    assert moved == 2


@pytest.mark.parametrize("character", ["\N{GRINNING FACE}", "%", "."])
async def test_long_reason_is_cut_to_the_line_that_peep_has_for_it(gateway: Gateway, character: str) -> None:
    await gateway.repository.register_instance(Instance("live", "host", 1, "1", 0.0))
    name, reason = "n" * 128, "the old server: it refuses RETR: " + character * 200
    await gateway.repository.begin_move(name, "live", "1")
    await gateway.repository.end_move(name, "live", "1", MoveProgress(499_999, 500_000), reason)

    def ask() -> list[Move]:
        with connect(*gateway.address, ADMINISTRATOR, PASSWORD) as peep:
            return peep.moves()

    (move,) = await asyncio.to_thread(ask)
    assert move.username == name
    assert move.reason is not None
    assert reason.startswith(move.reason)
    assert len(move.reason) > len("the old server: it refuses RETR: ")


@pytest.mark.parametrize("line", ["", "alice moving 1 2 3", "alice moving x 2 3 -", "alice  1 2 3 -"])
def test_line_of_another_form_is_no_move(line: str) -> None:
    with pytest.raises(NotPeep):
        parse_move(line)


# peepctl


async def listed(gateway: Gateway, home: Path, *options: str) -> Done:
    host, port = gateway.address
    peepctl = Peepctl(
        home, PEEPCTL_HOST=f"{host}:{port}", PEEPCTL_USER=ADMINISTRATOR, PEEPCTL_PASSWORD=PASSWORD
    )
    with capture_logs():  # the server's, which runs in this process too
        return await asyncio.to_thread(peepctl.run, "move", "list", *options)


async def test_peepctl_lists_them(gateway: Gateway, tmp_path: Path) -> None:
    assert (await listed(gateway, tmp_path)).stdout == "0 users moved, 0 moving, 0 interrupted, 0 failed\n"
    await make_moves(gateway.repository)
    head, *rows, summary = (await listed(gateway, tmp_path)).stdout.splitlines()
    assert head.split() == ["USER", "STATE", "HERE", "OF", "SINCE", "REASON"]
    assert [row.split()[:4] for row in rows] == [
        ["alice", "moving", "412", "1,532"],
        ["bob", "interrupted", "0", "-"],
        ["carol", "failed", "3", "4"],
    ]
    assert rows[2].endswith(REASON)
    assert summary == "2 users moved, 1 moving, 1 interrupted, 1 failed"
    shown = json.loads((await listed(gateway, tmp_path, "--json")).stdout)
    assert shown["moved"] == 2
    assert [move["username"] for move in shown["moves"]] == ["alice", "bob", "carol"]


MAIL = [(b"id-%d" % number, b"Subject: %d\r\n\r\nhello\r\n" % number) for number in range(1, 4)]


async def moved(home: Path, port: int, *options: str, users: str) -> Done:
    arguments = ("move", "mail", "--new", f"pop3://127.0.0.1:{port}", "--users", "-", *options)
    with capture_logs():
        return await asyncio.to_thread(lambda: Peepctl(home).run(*arguments, given=users))


async def test_mail_is_moved_ahead_of_the_first_login(
    repository: StateRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_commands, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(moves_of_a_process, "LOGIN_SECONDS", 0.2)
    old = ScriptedServer({"alice": MAIL, "bob": MAIL[:1]})
    hold = old.before[b"RETR 3"] = asyncio.Event()
    async with serving(old), moving_service(repository, tmp_path, old.address()) as service:
        users = f"alice:{USERS_PASSWORD}\nbob:{USERS_PASSWORD}\ncarol:geheim\n"
        moving = asyncio.create_task(moved(tmp_path, service.address.port, users=users))
        while await service.repository.usernames() != ["bob"]:
            await asyncio.sleep(0.01)
        hold.set()
        done = await moving
        assert await service.mail_of("alice") == MAIL
    assert done.stdout.splitlines() == [
        "alice  3 messages are here",
        "bob  1 messages are here",
        "carol  NOT MOVED: it refuses AUTH: [AUTH] wrong user name or password",
        "2 of 3 users are here; 1 are not",
    ]
    assert (done.code, done.stderr) == (Exit.REFUSED, "")


async def test_user_whose_mail_does_not_come_is_given_up(
    repository: StateRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_commands, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(move_commands, "STALLED_SECONDS", 0.2)
    old = ScriptedServer({"alice": MAIL}, lies={b"UIDL": b"-ERR no\r\n"})
    async with serving(old), moving_service(repository, tmp_path, old.address()) as service:
        users = f"alice:{USERS_PASSWORD}\n"
        done = await moved(tmp_path, service.address.port, "--json", users=users)
    shown = json.loads(done.stdout)
    assert (shown["moved"], shown["not_moved"], done.code) == (0, 1, Exit.REFUSED)
    assert "your mail cannot be moved now" in shown["users"][0]["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--new", "imap://new"), Exit.USAGE, "--new: must be pop3s://HOST"),
        (("--new", "pop3://127.0.0.1:1"), Exit.NOT_CONNECTED, "cannot connect to 127.0.0.1:1"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: tuple[str, ...], code: Exit, complaint: str, tmp_path: Path
) -> None:
    done = Peepctl(tmp_path).run("move", "mail", "--users", "-", *arguments, given="alice:x\n")
    assert (done.code, complaint in done.stderr) == (code, True)
