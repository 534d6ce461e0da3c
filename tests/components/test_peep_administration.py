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
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.peep_gateway_server import (
    ADMINISTRATOR,
    PASSWORD,
    passwords,
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
    logged_in.client.identity = "all hash"
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


async def test_added_user_can_be_checked_with_the_password(repository: StateRepository) -> None:
    await repository.replace_administrators({ADMINISTRATOR: "hash"}, by=OPERATOR)
    assert await caller(repository).say("u+ alice secret") == b"+\r\n"
    credential = await repository.credential("alice")
    assert await passwords().is_right("alice", credential, "secret")
    assert not await passwords().is_right("alice", credential, "Secret")


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

    await repository.replace_administrators({ADMINISTRATOR: "hash"}, by=OPERATOR)
    monkeypatch.setattr(repository, "usernames", usernames)
    with pytest.raises(LeaseLapsed):
        await caller(repository).say("u?")


async def test_changes_are_logged_with_who_made_them_and_never_a_password(
    repository: StateRepository,
) -> None:
    await repository.replace_administrators({ADMINISTRATOR: "hash"}, by=OPERATOR)
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
