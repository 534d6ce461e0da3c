"""What a fault of Redis is called in the log: one line, what is wrong and what to do, no secret."""

import pytest
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.redis.faults import ADVICE, describe, translate


def answer(line: str) -> Exception:
    """Return the error that redis-py makes of an error answer."""
    made = Connection()._parser.parse_error(line)  # type: ignore[no-untyped-call]
    assert isinstance(made, Exception)
    return made


@pytest.mark.parametrize("code", sorted(ADVICE))
def test_every_code_is_told_in_one_line_that_names_it(code: str) -> None:
    # A number and a place: what MOVED and ASK bring, and no other minds.
    told = describe(answer(f"{code} 8000 127.0.0.1:7000"))
    assert told == ADVICE[code]
    assert f"({code})" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "line",
    [
        "OOM command not allowed when used memory > 'maxmemory'. script: 0123, on @user_script:42.",
        "READONLY You can't write against a read only replica. script: 0123, on @user_script:42.",
        "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
    ],
)
def test_refusal_of_a_script_is_told_like_that_of_a_command(line: str) -> None:
    assert describe(answer(line)) == ADVICE[line.partition(" ")[0]]


def test_missing_permission_is_told_with_the_name_of_the_command() -> None:
    told = describe(answer("NOPERM User peep has no permissions to run the 'hset' command"))
    assert told.startswith("the ACL user of PEEP_REDIS_URL lacks a permission (NOPERM): ")
    assert told.endswith("'hset' command")


def test_other_errors_are_told_in_their_own_words_and_one_line() -> None:
    assert describe(ResponseError("ERR something\r\n new")) == "ERR something new"
    assert describe(RedisConnectionError("Connection refused")) == "Connection refused"
    assert describe(TimeoutError()) == "no answer within 0.8 s"


def test_only_a_server_that_is_too_old_is_given_up() -> None:
    assert isinstance(translate(answer("ERR unknown command 'HELLO', with args")), StoreUnusable)
    for code in ADVICE:
        assert type(translate(answer(f"{code} 8000 127.0.0.1:7000"))) is StoreUnavailable
