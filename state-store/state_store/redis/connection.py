"""One connection to the server that takes our writes: made when needed, and again after a cut."""

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
"""A connection that was idle for longer is tested with PING before it carries a batch: a firewall may have
dropped it silently, and a batch without an answer is not repeated. An idle POP3 process exchanges less often
than this, one under load more often, so it never pays for the test."""

PROOF_SECONDS = 0.2
"""How long the test may take: a new connection and the batch's answers have to fit into what is left."""


class RedisConnection:
    """Sends one batch of commands at a time: the caller must not begin one before the last has returned."""

    def __init__(self, topology: Topology, clock: Callable[[], float] = time.monotonic) -> None:
        self._topology = topology
        self._clock = clock
        self._connection: AbstractConnection | None = None
        self._answered_at = 0.0

    @property
    def server(self) -> str | None:
        """The connected server, in a form to compare; None without a connection."""
        return None if self._connection is None else server_of(self._connection)

    async def ask(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        """Return an answer, or the error that the server gave, for each command.

        After a cut connection the batch is sent again on a new one, once, and so are commands that another
        server has to carry out. All of it takes at most `seconds`. Raises `StateError`, `RedisError` or
        `OSError`, `TimeoutError` included.
        """
        try:
            async with time_limit(seconds):
                answers = await self._ask_again_when_cut(commands, seconds)
                if refused := _refused_here(answers):
                    await self._ask_elsewhere(commands, answers, refused, seconds)
                return answers
        except BaseException:
            # Answers that arrive late must not be taken for the next batch's.
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; the next batch makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ask_elsewhere(
        self, commands: Sequence[Command], answers: list[Any], refused: list[int], seconds: float
    ) -> None:
        self._topology.learn(answers[refused[0]])
        await self.close()
        again = await self._ask_again_when_cut([commands[number] for number in refused], seconds)
        for number, answer in zip(refused, again, strict=True):
            answers[number] = answer
        if _refused_here(again):
            await self.close()  # refused there too: the next batch finds the server again

    async def _ask_again_when_cut(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        if self._connection is None or not await self._is_alive(self._connection):
            await self.close()
            self._connection = await self._topology.open(seconds)
        try:
            return await self._converse(self._connection, commands)
        except (RedisConnectionError, OSError):
            # The server was restarted, or the connection was cut.
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
        await send(connection, commands)
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response(disconnect_on_error=False))
            except ResponseError as error:
                answers.append(error)
            except RedisConnectionError as error:
                if not error.status_code:
                    raise
                answers.append(error)  # such as LOADING: an answer that redis-py raises as a cut connection
        self._answered_at = self._clock()
        return answers


def _refused_here(answers: list[Any]) -> list[int]:
    """Return the indexes of commands that this server refused and another may carry out."""
    return [
        number
        for number, answer in enumerate(answers)
        if isinstance(answer, Exception) and is_elsewhere(answer)
    ]


async def send(connection: AbstractConnection, commands: Sequence[Command]) -> None:
    """Send commands on a connection. Raises `RedisError` or `OSError`."""
    try:
        # redis-py packs word by word in Python: 12 times slower for an exchange of a hundred words.
        await connection.send_packed_command([hiredis.pack_command(command) for command in commands])
    except RuntimeError as error:
        # uvloop closes a transport that was reset while nothing was being read.
        raise RedisConnectionError("reset while it was idle") from error


def server_of(connection: AbstractConnection) -> str:
    """Return the server at a connection's other end, in a form to compare."""
    return str(connection.repr_pieces())  # type: ignore[no-untyped-call]
