"""One connection to the server that takes our writes: made when it is needed, found anew when it is cut."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from state_store.redis.time_limit import time_limit
from state_store.redis.topology import Topology, is_elsewhere

Command = tuple[Any, ...]

IDLE_SECONDS = 3.0
"""A connection that was idle for longer is proved before it carries a question: what lies between may have
forgotten it without a word, and a question that got no answer is not repeated. Shorter than the pauses of a
POP3 process that has nothing to tell, and too long for one under load to pay for it."""

PROOF_SECONDS = 0.2
"""How long the proof may take: a new connection and the question's answer have to fit into what is left."""


class RedisConnection:
    """Asks a batch of commands at a time; whoever uses it sees that there is one batch under way."""

    def __init__(self, topology: Topology, clock: Callable[[], float] = time.monotonic) -> None:
        self._topology = topology
        self._clock = clock
        self._connection: AbstractConnection | None = None
        self._answered_at = 0.0
        self._is_refused = False

    @property
    def server(self) -> str | None:
        """Which server this talks to, in a form to compare; None when it is not connected."""
        return None if self._connection is None else server_of(self._connection)

    async def ask(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        """Return an answer, or the error that the server gave, for each command.

        A connection that was cut is made again and the batch sent again, once; so are commands that
        another server has to carry out. All of it is done in `seconds`, or nothing is repeated. Raises
        `StateError`, `RedisError` or `OSError`.
        """
        try:
            async with time_limit(seconds):
                answers = await self._ask_again_when_cut(commands, seconds)
                if self._is_refused:
                    await self._ask_elsewhere(commands, answers, seconds)
                return answers
        except BaseException:
            # Answers that nobody waits for any more must not be taken for the next batch's.
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; the next question makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ask_elsewhere(self, commands: Sequence[Command], answers: list[Any], seconds: float) -> None:
        refused = [
            number
            for number, answer in enumerate(answers)
            if isinstance(answer, Exception) and is_elsewhere(answer)
        ]
        self._topology.learn(answers[refused[0]])
        await self.close()
        again = await self._ask_again_when_cut([commands[number] for number in refused], seconds)
        for number, answer in zip(refused, again, strict=True):
            answers[number] = answer
        if self._is_refused:
            await self.close()  # no better there: the next batch looks for the way anew

    async def _ask_again_when_cut(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        if self._connection is None or not await self._is_alive(self._connection):
            await self.close()
            self._connection = await self._topology.open(seconds)
        try:
            return await self._converse(self._connection, commands)
        except (RedisConnectionError, OSError):
            # The server was restarted, or the connection cut: once more, on a new one.
            await self.close()
            self._connection = await self._topology.open(seconds)
            return await self._converse(self._connection, commands)

    async def _is_alive(self, connection: AbstractConnection) -> bool:
        if self._clock() - self._answered_at < IDLE_SECONDS:
            return True
        try:
            async with time_limit(PROOF_SECONDS):
                await self._converse(connection, [("PING",)])
        except (RedisConnectionError, OSError):  # TimeoutError is one of the latter
            return False
        return True

    async def _converse(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        self._is_refused = False
        await send(connection, commands)
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response(disconnect_on_error=False))
            except ResponseError as error:
                answers.append(error)
                self._is_refused = self._is_refused or is_elsewhere(error)
            except RedisConnectionError as error:
                if not error.status_code:
                    raise
                answers.append(error)  # LOADING, for one: an answer that redis-py takes for a cut
        self._answered_at = self._clock()
        return answers


async def send(connection: AbstractConnection, commands: Sequence[Command]) -> None:
    """Send commands on a connection. Raises `RedisError` or `OSError`."""
    try:
        # redis-py packs word by word in Python: 12 times slower for an exchange of a hundred words.
        await connection.send_packed_command([hiredis.pack_command(command) for command in commands])
    except RuntimeError as error:
        # uvloop closes by itself what was reset while nobody read from it.
        raise RedisConnectionError("reset while it was idle") from error


def server_of(connection: AbstractConnection) -> str:
    """Return which server a connection leads to, in a form to compare."""
    return str(connection.repr_pieces())  # type: ignore[no-untyped-call]
