"""Users come from another POP3 server at their first login, with their mail (D84)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redis

from pop3_client import LoginPutOff, TimeLimits, WrongLogin
from pop3_service.maildir import Maildir
from pop3_service.moving import arrivals, mail_move, moves
from state_store.credentials.attempts import RefusalReason
from state_store.errors import StoreUnavailable
from state_store.moves import MoveCounts, MoveState
from state_store.redis import keys
from state_store.refusals import NewRefusal, RefusalKind, refusal_id
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords
from support.moving_service import MovingService, moving_service
from support.pop3_process import Pop3Client as SocketClient
from support.scram_dialogue import scram
from support.scripted_pop3 import DRIP, PASSWORD, SILENCE, Close, ScriptedServer, multiline, serving
from support.waiting import until


def mail(number: int) -> tuple[bytes, bytes]:
    """Return a message with a unique-id."""
    content = (
        b"Subject: %d\r\nReceived: by old\r\n\r\n.dot %d\r\n" % (number, number) + number * b"a line\r\n"
    )
    return b"id-%d" % number, content


UNKNOWN = RefusalReason.UNKNOWN_USER
MAIL = [mail(number) for number in range(1, 6)]


@pytest.fixture
async def old() -> AsyncIterator[ScriptedServer]:
    async with serving(ScriptedServer({"alice": MAIL, "bob": MAIL[:2]})) as server:
        yield server


@pytest.fixture
async def service(
    repository: StateRepository, tmp_path: Path, old: ScriptedServer
) -> AsyncIterator[MovingService]:
    async with moving_service(repository, tmp_path, old.address()) as running:
        yield running


def put(service: MovingService, path: str, content: bytes) -> Path:
    """Put a message into alice's maildir."""
    file = service.mail / "alice" / path
    for folder in ("new", "cur"):
        (service.mail / "alice" / folder).mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.replace(b"\r\n", b"\n"))
    return file


async def refusal(service: MovingService, username: str = "alice") -> str:
    with pytest.raises(LoginPutOff) as refused:
        await service.log_in(username)
    assert "[SYS/TEMP]" in str(refused.value)
    return str(refused.value)


async def reason(service: MovingService, username: str = "alice") -> str:
    """Return why a user's move has failed."""
    (move,) = [one for one in await service.repository.moves() if one.username == username]
    assert move.state is MoveState.FAILED
    return move.reason


def fetched(old: ScriptedServer) -> list[bytes]:
    return [line for line in old.asked if line.startswith(b"RETR")]


# What a user gets


async def test_first_login_brings_user_and_mail_with_ids_order_and_octets(
    service: MovingService, old: ScriptedServer
) -> None:
    assert await service.mail_of("alice") == MAIL
    assert await service.repository.usernames() == ["alice"]
    assert await service.repository.move_counts() == MoveCounts(str(old.address()), moved=1)
    assert not any(line.startswith(b"DELE") for line in old.asked)


async def test_after_it_the_old_server_is_asked_no_more(service: MovingService, old: ScriptedServer) -> None:
    await service.mail_of("alice")
    asked = len(old.asked)
    assert await service.mail_of("alice") == MAIL
    assert len(old.asked) == asked


async def test_new_mail_follows_the_old(service: MovingService) -> None:
    put(service, "new/1000000000.M1.host", b"Subject: new\r\n\r\nhello\r\n")
    new = (b"1000000000.M1.host", b"Subject: new\r\n\r\nhello\r\n")
    assert await service.mail_of("alice") == [*MAIL, new]


async def test_empty_maildrop_moves_too(service: MovingService, old: ScriptedServer) -> None:
    old.maildrops["alice"] = []
    assert await service.mail_of("alice") == []


async def test_long_messages_and_odd_line_ends_come_with_their_octets(
    service: MovingService, old: ScriptedServer
) -> None:
    long = b"Subject: long\r\n\r\n" + 100_000 * b"0123456789\r\n"
    old.maildrops["alice"] = [(b"long", long), (b"odd", b"a\r\rb\r\r\n\r\n.\rc\r\n"), (b"none", b"")]
    assert await service.mail_of("alice") == old.maildrops["alice"]


async def test_users_quota_counts_what_has_come(service: MovingService) -> None:
    quota = put(service, "maildirsize", b"1000000S\n10 1\n")
    await service.mail_of("alice")
    octets = sum(file.stat().st_size for file in service.files("alice"))
    assert quota.read_bytes() == b"1000000S\n10 1\n%d 5\n" % octets


async def test_mail_belongs_to_the_owner_alone(service: MovingService) -> None:
    await service.mail_of("alice")
    maildir = service.mail / "alice"
    assert {oct(path.stat().st_mode & 0o777) for path in [maildir, *maildir.iterdir()] if path.is_dir()} == {
        "0o700"
    }
    assert {oct(file.stat().st_mode & 0o777) for file in service.files("alice")} == {"0o600"}


# Mail that lies in the maildir already


async def test_mail_that_is_there_is_matched_and_not_fetched(
    service: MovingService, old: ScriptedServer
) -> None:
    for number, (_, content) in enumerate(MAIL):
        put(service, f"cur/{1700000000 - number}.M{number}.host:2,S", content)
    assert await service.mail_of("alice") == MAIL
    assert fetched(old) == []
    assert len(service.files("alice")) == 5


async def test_what_is_missing_of_it_is_fetched(service: MovingService, old: ScriptedServer) -> None:
    for number in (1, 3):
        put(service, f"cur/1700000000.M{number}.host:2,", MAIL[number][1])
    assert await service.mail_of("alice") == MAIL
    assert fetched(old) == [b"RETR 1", b"RETR 3", b"RETR 5"]


async def test_new_mail_of_the_same_octets_is_another_message(
    service: MovingService, old: ScriptedServer
) -> None:
    other = MAIL[0][1].replace(b"Subject: 1", b"Subject: X")
    put(service, "new/1.M1.host", other)
    assert await service.mail_of("alice") == [*MAIL, (b"1.M1.host", other)]
    assert b"TOP 1 0" in old.asked


async def test_same_message_twice_is_matched_twice(service: MovingService, old: ScriptedServer) -> None:
    content = MAIL[0][1]
    old.maildrops["alice"] = [(b"first", content), (b"second", content)]
    put(service, "new/1.M1.host", content)
    put(service, "new/2.M2.host", content)
    assert await service.mail_of("alice") == old.maildrops["alice"]
    assert fetched(old) == []


async def test_without_top_mail_is_fetched_and_nothing_is_mistaken(
    service: MovingService, old: ScriptedServer
) -> None:
    put(service, "new/1.M1.host", MAIL[0][1])
    old.lies[b"TOP 1 0"] = b"-ERR not here\r\n"
    assert await service.mail_of("alice") == [*MAIL, (b"1.M1.host", MAIL[0][1])]


async def test_unique_ids_that_were_imported_hold_and_removed_mail_stays_away(
    service: MovingService, old: ScriptedServer
) -> None:
    put(service, "cur/1.M1.host:2,S", MAIL[0][1])
    put(service, "peep-unique-ids", b"1.M1.host\tid-1\n2.M2.host\tid-2\n")
    assert await service.mail_of("alice") == [MAIL[0], *MAIL[2:]]
    assert fetched(old) == [b"RETR 3", b"RETR 4", b"RETR 5"]


# Passwords


async def test_wrong_password_is_wrong_and_asked_about_once(
    service: MovingService, old: ScriptedServer
) -> None:
    for _ in range(3):
        with pytest.raises(WrongLogin, match=r"\[AUTH\]"):
            await service.log_in("alice", "geheim")
    assert sum(line.startswith(b"PASS") for line in old.asked) == 1
    refused = (await service.repository.latencies()).refused
    assert sum(refused.values()) in range(4)  # told to the store in batches
    assert await service.repository.usernames() == []


async def test_wrong_password_of_a_user_who_has_moved_is_not_asked_about(
    service: MovingService, old: ScriptedServer
) -> None:
    await service.mail_of("alice")
    asked = len(old.asked)
    with pytest.raises(WrongLogin):
        await service.log_in("alice", "geheim")
    assert len(old.asked) == asked


async def test_wrong_password_is_asked_about_again_after_a_while(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "REFUSED_SECONDS", 0.0)
    assert await service.moves.check("alice", "later", "192.0.2.1") is UNKNOWN
    old.lies[b"PASS later"] = b"+OK\r\n"
    assert isinstance(await service.moves.check("alice", "later", "192.0.2.1"), moves.UserMove)


async def test_only_so_many_refused_passwords_are_remembered(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "REFUSED_REMEMBERED", 1)
    for password in ("one", "two", "one"):
        await service.moves.check("alice", password, "192.0.2.1")
    assert sum(line == b"PASS one" for line in old.asked) == 2


async def test_name_that_is_no_folder_is_not_asked_about(service: MovingService, old: ScriptedServer) -> None:
    for name in ("../alice", ".alice", "a" * 129):
        assert await service.moves.check(name, PASSWORD, "192.0.2.1") is UNKNOWN
    assert await service.moves.check("alice", "a\x00b", "192.0.2.1") is UNKNOWN
    assert old.connections == 0


async def test_login_that_looked_just_before_the_move_ended_is_put_off_and_not_refused(
    service: MovingService,
) -> None:
    await service.mail_of("alice")
    with pytest.raises(moves.NotYet, match=r"\[SYS/TEMP\] your mail has just come"):
        await service.moves.check("alice", PASSWORD, "192.0.2.1")


async def test_removed_user_does_not_come_back(service: MovingService, old: ScriptedServer) -> None:
    await service.mail_of("alice")
    await service.repository.remove_user("alice", by=OPERATOR)
    with pytest.raises(WrongLogin):
        await service.log_in("alice")
    assert await service.repository.usernames() == []


async def test_suspended_user_is_told_so_after_the_old_server_took_the_password_and_nothing_is_moved(
    service: MovingService, old: ScriptedServer
) -> None:
    alice = NewRefusal(RefusalKind.SUSPEND, "alice", "left the company")
    await service.repository.refuse([alice], by=OPERATOR)
    with pytest.raises(WrongLogin, match=r"\[AUTH\] wrong user name"):
        await service.log_in("alice", "geheim")
    with pytest.raises(WrongLogin, match=r"\[AUTH\] left the company"):
        await service.log_in("alice")
    assert await service.repository.usernames() == []
    assert fetched(old) == []
    async with asyncio.timeout(20):
        while not (await service.repository.latencies()).refused["suspended"]:
            await asyncio.sleep(0.01)  # told to the store in batches
    await service.repository.lift_suspension("alice", by=OPERATOR)
    assert await service.mail_of("alice") == MAIL


async def test_first_scram_login_after_a_suspension_has_ended_is_let_in(
    service: MovingService, behind_the_scenes: redis.Redis
) -> None:
    await service.mail_of("alice")
    alice = NewRefusal(RefusalKind.SUSPEND, "alice", "for an hour", 4e9)
    await service.repository.refuse([alice], by=OPERATOR)

    def answer() -> bytes:
        with SocketClient((service.address.host, service.address.port)) as client:
            return scram(client, "alice", PASSWORD)

    assert await asyncio.to_thread(answer) == b"-ERR [AUTH] for an hour\r\n"
    # The hour is over, and nothing but this login has looked.
    behind_the_scenes.zadd(keys.REFUSAL_ENDS, {refusal_id(RefusalKind.SUSPEND, "alice"): 1})
    assert (await asyncio.to_thread(answer)).startswith(b"+OK")


async def test_user_whom_an_administrator_adds_meanwhile_wins(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await cheap_passwords().new_credential("another")

    loop = asyncio.get_running_loop()

    def settle(_: arrivals.Arrivals) -> None:
        adding = service.repository.add_user("alice", theirs, by=OPERATOR)
        asyncio.run_coroutine_threadsafe(adding, loop).result()

    monkeypatch.setattr(arrivals.Arrivals, "settle", settle)
    with pytest.raises(WrongLogin):
        await service.log_in("alice")
    assert await service.repository.credential("alice") == theirs
    assert await service.mail_of("alice", "another") == MAIL


async def test_user_whom_an_administrator_adds_before_the_first_message_wins(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await cheap_passwords().new_credential("another")
    loop = asyncio.get_running_loop()

    def open_or_make(maildir: Maildir) -> None:
        arrivals.open_or_make(maildir)
        adding = service.repository.add_user("alice", theirs, by=OPERATOR)
        asyncio.run_coroutine_threadsafe(adding, loop).result()

    monkeypatch.setattr(moves, "open_or_make", open_or_make)
    with pytest.raises(WrongLogin):
        await service.log_in("alice")
    assert fetched(old) == []
    assert await service.mail_of("alice", "another") == []


async def test_strangers_of_one_network_have_few_places_at_the_old_server(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.lies[b"CAPA"] = SILENCE
    asking = [
        asyncio.create_task(service.moves.check(f"user{number}", "x", "192.0.2.1"))
        for number in range(moves.LOGINS_OF_A_NETWORK)
    ]
    await until(lambda: old.open_now == moves.LOGINS_OF_A_NETWORK)
    with pytest.raises(moves.NotYet, match="other users"):
        await service.moves.check("alice", PASSWORD, "192.0.2.1")
    del old.lies[b"CAPA"]
    assert isinstance(await service.moves.check("alice", PASSWORD, "198.51.100.1"), moves.UserMove)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert not service.moves._asking


async def test_no_more_users_than_allowed_are_moved_at_a_time(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "MOVES_AT_ONCE", 1)
    monkeypatch.setattr(moves, "LOGIN_SECONDS", 0.0)
    old.lies[b"RETR 3"] = SILENCE
    await refusal(service, "alice")
    assert "the mail of other users is being moved" in await refusal(service, "bob")


# The old server is away


async def test_old_server_that_is_away_is_no_wrong_password(
    repository: StateRepository, tmp_path: Path
) -> None:
    async with serving(ScriptedServer()) as gone:
        pass
    async with moving_service(repository, tmp_path, gone.address()) as service:
        assert "does not answer" in await refusal(service)
        assert "does not answer" in await refusal(service)  # without another try


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"PASS secret", b"-ERR [SYS/TEMP] our store is away\r\n"),
        (b"PASS secret", b"-ERR [IN-USE] locked\r\n"),
        (b"PASS secret", b"what?\r\n"),
        (b"USER alice", b"-ERR the mailbox is locked\r\n"),
    ],
)
async def test_login_that_the_old_server_puts_off_is_put_off(
    command: bytes, reply: bytes, service: MovingService, old: ScriptedServer
) -> None:
    old.lies[command] = reply
    await refusal(service)
    del old.lies[command]
    assert await service.mail_of("alice") == MAIL


@pytest.mark.parametrize("command", [b"CAPA", b"PASS secret"])
async def test_old_server_that_falls_silent_keeps_no_login_waiting_for_long(
    command: bytes, service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "ASK_SECONDS", 0.2)
    old.lies[command] = SILENCE
    assert "does not answer" in await refusal(service)


# Moves that take long, or are cut


async def test_move_that_is_ended_before_its_first_step_leaves_nothing(service: MovingService) -> None:
    move = await service.moves.check("alice", PASSWORD, "192.0.2.1")
    assert isinstance(move, moves.UserMove)
    service.moves.abandon()
    with pytest.raises(moves.NotYet, match="cannot be moved now"):
        await move.settled(asyncio.get_running_loop().time() + 20)
    assert service.moves.under_way() == []
    assert await service.mail_of("alice") == MAIL


async def test_move_goes_on_while_the_store_cannot_be_told_how_far_it_is(
    service: MovingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    monkeypatch.setattr(service.repository, "note_move", away)
    assert await service.mail_of("alice") == MAIL


async def test_matched_mail_without_an_old_id_is_matched_again_after_an_interruption(
    service: MovingService, old: ScriptedServer
) -> None:
    ids = [b"same", b"same", b"id-3", b"id-4", b"id-5"]
    old.lies[b"UIDL"] = multiline(b"%d %b" % (n, one) for n, one in enumerate(ids, 1))
    for number in (0, 1):
        put(service, f"cur/170000000{number}.M{number}.host:2,S", MAIL[number][1])
    old.lies[b"RETR 4"] = cut
    await refusal(service)
    del old.lies[b"RETR 4"]
    assert [content for _, content in await service.mail_of("alice")] == [content for _, content in MAIL]
    assert fetched(old) == [b"RETR 3", b"RETR 4", b"RETR 4", b"RETR 5"]


async def test_login_that_would_wait_too_long_says_how_far_it_is_and_the_work_goes_on(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "LOGIN_SECONDS", 0.0)
    hold = old.before[b"RETR 3"] = asyncio.Event()
    assert "your mail is being fetched; try again in a minute" in await refusal(service)
    await until(lambda: b"RETR 3" in old.asked)
    assert "2 of 5 messages are here; try again in a minute" in await refusal(service)
    with pytest.raises(WrongLogin):
        await service.log_in("alice", "geheim")
    assert old.connections == 1
    hold.set()
    await until(lambda: not service.moves.under_way())
    assert await service.mail_of("alice") == MAIL
    assert len(fetched(old)) == 5


async def test_another_process_says_how_far_the_first_one_is(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setattr(moves, "NOTE_SECONDS", 0.0)
    hold = old.before[b"RETR 3"] = asyncio.Event()
    with monkeypatch.context() as impatient:
        impatient.setattr(moves, "LOGIN_SECONDS", 0.0)
        await refusal(service)
    await until(lambda: b"RETR 3" in old.asked)
    other = StateRepository(redis_url)
    async with moving_service(other, service.mail, old.address(), "other.example") as second:
        assert "2 of 5 messages are here" in await refusal(second)
        old.lies[b"PASS secret"] = b"-ERR [IN-USE] locked by the first one\r\n"
        assert "2 of 5 messages are here" in await refusal(second)
        del old.lies[b"PASS secret"]
        assert len(fetched(old)) == 3
        hold.set()
        await service.moves.stop()  # the first process ends, and the second one goes on
        assert await second.mail_of("alice") == MAIL
    await other.close()
    assert fetched(old)[3:] == [b"RETR 3", b"RETR 4", b"RETR 5"]
    assert len(service.files("alice")) == 5


async def test_process_without_a_lease_puts_nothing_more_into_the_maildir(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.instance, "still_holds", lambda _: len(service.files("alice")) < 2)
    await refusal(service)
    assert await reason(service) == "the lease was over"
    assert len(service.files("alice")) == 2
    assert list((service.mail / "alice" / "tmp").iterdir()) == []


async def test_move_that_takes_too_long_leaves_its_place(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "RUN_SECONDS", 0.1)
    old.before[b"RETR 3"] = asyncio.Event()
    await refusal(service)
    assert "the next login goes on with it" in await reason(service)


async def test_leavings_of_a_killed_process_are_removed(service: MovingService) -> None:
    left = put(service, "new/x", b"").parent.parent / "tmp" / "peep-move.0123"
    left.parent.mkdir()
    left.write_bytes(b"half a mess")
    others = left.with_name("1.M1.host")
    others.write_bytes(b"another program's")
    await service.mail_of("alice")
    assert list(left.parent.iterdir()) == [others]


# An old server that lies: it harms one user's move, and says so


def cut() -> bytes:
    raise Close


LIES = [
    ({b"LIST": b"+OK\r\n1 ten\r\n.\r\n"}, "LIST has a line without the numbers"),
    ({b"LIST": multiline([b"1 120", b"2 130"])}, "do not name the same messages (2 and 5)"),
    ({b"UIDL": b"-ERR unknown\r\n"}, "it refuses UIDL"),
    ({b"UIDL": cut}, "it has closed the connection"),
    ({b"LIST": b"+OK\r\n" + 5000 * b"1"}, "a line of more than 1,024 octets"),
    ({b"LIST": multiline(b"%d %d" % (n, 1 << 50) for n in range(1, 6))}, "no room for"),
    ({b"RETR 3": cut}, "it has closed the connection"),
    ({b"RETR 3": b"-ERR gone\r\n"}, "it refuses RETR: gone"),
    ({b"RETR 3": b"+OK\r\n" + 300_000 * b"x\r\n"}, "message 3 does not end after"),
    ({b"RETR 3": b"+OK\r\n" + MAIL[2][1]}, "no answer in time"),
    ({b"RETR 3": b"+OK\r\n" + DRIP + b"x"}, "it sends too slowly"),
]
ENDLESS = {"no answer in time": 0.2, "it sends too slowly": 1.0}
"""The lies that only time shows, each with how many seconds."""


@pytest.mark.parametrize(("lies", "why"), LIES, ids=[why[:20] for _, why in LIES])
async def test_lie_ends_one_move_with_its_reason_and_the_next_login_goes_on(
    lies: dict[bytes, bytes | Callable[[], bytes]],
    why: str,
    service: MovingService,
    old: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old.lies |= lies
    with monkeypatch.context() as impatient:
        if why in ENDLESS:  # on a busy machine another lie would be taken for one of these
            impatient.setattr(moves, "LIMITS", TimeLimits(silence=ENDLESS[why]))
        assert "your mail cannot be moved now" in await refusal(service)
    assert why in await reason(service)
    assert await service.repository.usernames() == []
    assert list((service.mail / "alice" / "tmp").iterdir()) == []
    for command in lies:
        del old.lies[command]
    assert await service.mail_of("bob") == MAIL[:2]
    assert await service.mail_of("alice") == MAIL
    assert len(service.files("alice")) == 5


async def test_from_a_server_that_removes_what_is_fetched_nothing_is_fetched(
    service: MovingService, old: ScriptedServer
) -> None:
    old.capabilities.append(b"EXPIRE 0 USER")
    await refusal(service)
    assert "EXPIRE 0" in await reason(service)
    assert fetched(old) == []


async def test_unique_ids_that_nobody_may_have_are_ours(service: MovingService, old: ScriptedServer) -> None:
    ids = [b"same", b"same", b"has a space", b"x" * 71, b"good"]
    old.lies[b"UIDL"] = multiline(b"%d %b" % (n, one) for n, one in enumerate(ids, 1))
    found = await service.mail_of("alice")
    assert [content for _, content in found] == [content for _, content in MAIL]
    assert [unique_id for unique_id, _ in found][::4] == [b"same", b"good"]
    assert len({unique_id for unique_id, _ in found}) == 5
    assert await service.mail_of("alice") == found


async def test_listed_octets_that_are_a_little_wrong_do_no_harm(
    service: MovingService, old: ScriptedServer
) -> None:
    old.lies[b"LIST"] = multiline(b"%d %d" % (n, len(one[1]) - 9) for n, one in enumerate(MAIL, 1))
    assert await service.mail_of("alice") == MAIL


async def test_surplus_of_all_messages_together_is_limited(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_move, "SURPLUS_OCTETS", 10)
    old.lies[b"LIST"] = multiline(b"%d 1" % n for n in range(1, 6))
    await refusal(service)
    assert "message 1 does not end" in await reason(service)


# The disk


async def test_full_disk_ends_the_move_before_anything_is_fetched(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "SPARE_OCTETS", 1 << 60)
    await refusal(service)
    assert await reason(service) == (
        f"the mail directory: the disk has no room for {sum(len(one) for _, one in MAIL):,} octets more"
    )
    assert fetched(old) == []


async def test_full_disk_does_no_harm_when_all_mail_is_there(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "SPARE_OCTETS", 1 << 60)
    for number, (_, content) in enumerate(MAIL):
        put(service, f"new/{number}.M{number}.host", content)
    assert await service.mail_of("alice") == MAIL


async def test_disk_that_fills_up_meanwhile_ends_the_move(
    service: MovingService, old: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_move, "ROOM_CHECK_OCTETS", 0)
    real = arrivals.Arrivals.require_room

    def fills_up(self: arrivals.Arrivals, octets: int) -> None:
        real(self, octets if len(service.files("alice")) < 2 else 1 << 60)

    monkeypatch.setattr(arrivals.Arrivals, "require_room", fills_up)
    await refusal(service)
    assert "no room" in await reason(service)
    assert len(service.files("alice")) == 2


async def test_link_where_the_maildir_should_be_is_not_followed(
    service: MovingService, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (service.mail / "alice").symlink_to(elsewhere)
    await refusal(service)
    assert list(elsewhere.iterdir()) == []


async def test_users_in_folders_of_their_domains_get_these(
    repository: StateRepository, tmp_path: Path, old: ScriptedServer
) -> None:
    old.maildrops["carol@example.org"] = MAIL
    layout = "{domain}/{local}/Maildir"
    async with moving_service(repository, tmp_path, old.address(), layout=layout) as service:
        assert await service.mail_of("carol@example.org") == MAIL
        assert len(list((tmp_path / "example.org/carol/Maildir/new").iterdir())) == 5
        with pytest.raises(WrongLogin):
            await service.log_in("alice")
