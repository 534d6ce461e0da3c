"""Requests carried out, and what the session answers."""

from collections.abc import AsyncIterator

import pytest
import structlog
from structlog.testing import capture_logs

from peep_gateway.administration import CHANGES, Administration, Client
from peep_gateway.protocol.commands import AUTHENTICATE, COMMANDS, LIST_CAPABILITIES, QUIT, State
from peep_gateway.protocol.session import MAX_WRONG_PASSWORDS, Authentication, Request, Session
from peep_gateway.queries import QUERIES
from state_store.credentials.authentication import Authenticator
from state_store.errors import LeaseLapsed
from state_store.records import Deltas, Exchange, Login, Settings
from state_store.repository import StateRepository
from support.peep_gateway_server import (
    ADMINISTRATOR,
    PASSWORD,
    add_users,
    administrator_hash,
    instance,
    passwords,
    pop3_instance,
)


class Caller:
    """A session with its administration, as a connection has them."""

    def __init__(self, repository: StateRepository) -> None:
        self.session = Session()
        self.client = Client(self.session, "s1", "127.0.0.1")
        self.administration = Administration(repository, passwords(), Authenticator(repository, passwords()))

    async def say(self, line: str) -> bytes:
        decision = self.session.receive(line.encode())
        if not isinstance(decision, Request):
            return decision
        return self.session.complete(await self.administration.carry_out(decision, self.client))


def caller(repository: StateRepository) -> Caller:
    """Return one who is logged in already."""
    logged_in = Caller(repository)
    logged_in.session.receive(f"a {ADMINISTRATOR} {PASSWORD}".encode())
    logged_in.session.complete(Authentication.SUCCEEDED)
    return logged_in


@pytest.fixture
async def unreachable() -> AsyncIterator[StateRepository]:
    made = StateRepository("unix:///nonexistent/redis.sock")
    yield made
    await made.close()


def test_every_command_that_the_session_does_not_answer_itself_is_carried_out_here() -> None:
    in_the_table = {row.commencement for row in COMMANDS} - {
        QUIT.commencement,
        LIST_CAPABILITIES.commencement,
    }
    assert {AUTHENTICATE.commencement, *CHANGES, *QUERIES} == in_the_table


async def test_right_password_authenticates_the_session(repository: StateRepository) -> None:
    await repository.replace_administrators({ADMINISTRATOR: administrator_hash()})
    stranger = Caller(repository)
    assert await stranger.say(f"a {ADMINISTRATOR} {PASSWORD}") == b"+\r\n"
    assert stranger.session.state is State.AUTHENTICATED
    assert stranger.session.administrator == ADMINISTRATOR


@pytest.mark.parametrize("words", [f"{ADMINISTRATOR} wrong", f"nobody {PASSWORD}", f"ROOT {PASSWORD}"])
async def test_wrong_name_or_password_is_refused(repository: StateRepository, words: str) -> None:
    await repository.replace_administrators({ADMINISTRATOR: administrator_hash()})
    stranger = Caller(repository)
    assert await stranger.say(f"a {words}") == b"-2\r\n"
    assert stranger.session.state is State.AUTHENTICATION


async def test_user_of_pop3_is_no_administrator(repository: StateRepository) -> None:
    await repository.add_user("alice", await passwords().new_credential("secret"))
    assert await Caller(repository).say("a alice secret") == b"-2\r\n"


async def test_tenth_wrong_password_is_answered_and_ends_the_session(repository: StateRepository) -> None:
    stranger = Caller(repository)
    for number in range(1, MAX_WRONG_PASSWORDS + 1):
        assert not stranger.session.is_over
        assert await stranger.say(f"a root wrong{number}") == b"-2\r\n"
    assert stranger.session.is_over


async def test_added_user_can_be_checked_with_the_password(repository: StateRepository) -> None:
    assert await caller(repository).say("u+ alice secret") == b"+\r\n"
    credential = await repository.credential("alice")
    assert await passwords().is_right("alice", credential, "secret")
    assert not await passwords().is_right("alice", credential, "Secret")


async def test_user_in_use_keeps_the_password(repository: StateRepository) -> None:
    await caller(repository).say("u+ alice secret")
    before = await repository.credential("alice")
    assert await caller(repository).say("u+ alice other") == b"-3\r\n"
    assert await repository.credential("alice") == before


async def test_names_differ_in_case(repository: StateRepository) -> None:
    admin = caller(repository)
    assert await admin.say("u+ alice x") == b"+\r\n"
    assert await admin.say("u+ Alice x") == b"+\r\n"
    assert await admin.say("u?") == b"+2\r\nAlice\r\nalice\r\n"


async def test_user_is_removed_once(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    admin = caller(repository)
    assert await admin.say("u- alice") == b"+\r\n"
    assert await admin.say("u- alice") == b"-4\r\n"
    assert await admin.say("u?") == b"+0\r\n"


async def test_settings_are_set_and_shown(repository: StateRepository) -> None:
    admin = caller(repository)
    assert await admin.say("c= 15") == b"+\r\n"
    assert await admin.say("t= 0") == b"+\r\n"
    assert (await admin.say("c?"), await admin.say("t?")) == (b"+15\r\n", b"+0\r\n")
    assert await repository.settings() == Settings(max_connections=15, timeout_seconds=0, version=2)


async def test_defaults_are_a_thousand_connections_and_ten_minutes(repository: StateRepository) -> None:
    admin = caller(repository)
    assert (await admin.say("c?"), await admin.say("t?")) == (b"+1000\r\n", b"+600\r\n")


async def test_mail_directory_is_set_once_the_instances_agree(repository: StateRepository) -> None:
    async with pop3_instance(repository):
        assert await caller(repository).say("m= //srv/./mail/") == b"+\r\n"
    assert await caller(repository).say("m?") == b"+/srv/mail\r\n"


async def test_mail_directory_stays_when_one_instance_cannot_use_it(repository: StateRepository) -> None:
    await repository.announce_mail_directory("/var/mail/peep", overrides=False)
    async with pop3_instance(repository), pop3_instance(repository, "other", usable=False):
        assert await caller(repository).say("m= /srv/mail") == b"-6\r\n"
    assert await caller(repository).say("m?") == b"+/var/mail/peep\r\n"


async def test_mail_directory_is_refused_when_no_instance_is_there(repository: StateRepository) -> None:
    assert await caller(repository).say("m= /tmp") == b"-6\r\n"


async def test_every_counter_is_shown_by_its_own_command(repository: StateRepository) -> None:
    deltas = Deltas(retrieved_bytes=10**15, retrieved_emails=2, removed_emails=3, connections=6, logins=7)
    await repository.register_instance(instance())
    await repository.exchange(Exchange("pop3", 1, deltas, open_connections=4))
    admin = caller(repository)
    replies = [await admin.say(command) for command in ("rb?", "re?", "xe?", "cc?", "hc?", "hu?")]
    assert b"".join(replies) == b"+1000000000000000\r\n+2\r\n+3\r\n+4\r\n+6\r\n+7\r\n"


async def test_logged_in_user_stays_listed_after_being_deleted(repository: StateRepository) -> None:
    await add_users(repository, "zoe", "alice", "bob")
    await repository.register_instance(instance())
    logins = [Login(name, f"s-{name}", f"version-of-{name}", "::1") for name in ("zoe", "alice")]
    await repository.exchange(Exchange("pop3", 1, Deltas(), open_connections=2, logins=logins))
    admin = caller(repository)
    await admin.say("u- alice")
    assert await admin.say("cu?") == b"+2\r\nalice\r\nzoe\r\n"


@pytest.mark.parametrize(
    "line",
    ["u+ bob pw", "u- bob", "u?", "c= 5", "c?", "m?", "m= /srv", "t?", "t= 5", "rb?", "re?", "xe?", "cc?",
     "cu?", "hc?", "hu?"],
)  # fmt: skip
async def test_store_out_of_reach_is_told_and_the_session_goes_on(
    unreachable: StateRepository, line: str
) -> None:
    admin = caller(unreachable)
    assert await admin.say(line) == b"-8\r\n"
    assert not admin.session.is_over
    assert (await admin.say("cap?")).startswith(b"+")


async def test_login_while_the_store_is_out_of_reach_is_no_wrong_password(
    unreachable: StateRepository,
) -> None:
    stranger = Caller(unreachable)
    for _ in range(MAX_WRONG_PASSWORDS + 1):
        assert await stranger.say(f"a {ADMINISTRATOR} {PASSWORD}") == b"-8\r\n"
    assert not stranger.session.is_over
    assert stranger.session.state is State.AUTHENTICATION


async def test_checks_that_need_no_store_are_made_without_it(unreachable: StateRepository) -> None:
    admin = caller(unreachable)
    assert await admin.say("c= 0") == b"-5\r\n"
    assert await admin.say("m= x") == b"-6\r\n"
    assert await admin.say("t= -7") == b"-7\r\n"


async def test_error_without_a_code_is_not_hidden(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def usernames() -> list[str]:
        raise LeaseLapsed(counts_taken=False)

    monkeypatch.setattr(repository, "usernames", usernames)
    with pytest.raises(LeaseLapsed):
        await caller(repository).say("u?")


async def test_changes_are_logged_with_who_made_them_and_never_a_password(
    repository: StateRepository,
) -> None:
    with capture_logs() as events:
        structlog.contextvars.clear_contextvars()
        admin = caller(repository)
        await admin.say("u+ alice geheim surplus")
        await admin.say("u- alice")
        await admin.say("c= 7")
    assert [event["event"] for event in events] == [
        "surplus arguments ignored",
        "user added",
        "user removed",
        "setting changed",
    ]
    assert {event.get("administrator") for event in events[1:]} == {ADMINISTRATOR}
    assert "geheim" not in repr(events)


async def test_refused_login_is_logged_without_the_words_that_were_sent(repository: StateRepository) -> None:
    with capture_logs() as events:
        await Caller(repository).say("a hunter2 hunter3")
    assert [event["event"] for event in events] == ["administrator refused"]
    assert "hunter" not in repr(events)
