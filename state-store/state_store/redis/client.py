"""Commands to Redis: all that are sent in one turn of the event loop travel in one round trip."""

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from state_store.errors import StateError, StoreUnavailable, StoreUnusable
from state_store.redis.connection import RedisConnection, send, server_of
from state_store.redis.faults import ANSWER_SECONDS, translate
from state_store.redis.scripting import load_scripts
from state_store.redis.server_info import info_fields
from state_store.redis.topology import topology_of

START_SECONDS = 5.0
"""How long a server may take to answer at the start: it may be reading its append-only file."""

OLDEST_SERVER = (7, 0)

REACH_ANY_STORE = frozenset({"attend", "accept_store"})
"""The scripts that find out, and decide, which deployment's store this is."""

_Waiting = tuple[tuple[Any, ...], "asyncio.Future[Any]"]


class RedisClient:
    """Sends commands to Redis, all of one loop turn together; one batch is under way at a time.

    Every failure to get an answer is `StoreUnavailable`. After a cut connection the batch is sent again on a
    new one, so a command may be carried out twice: each must tolerate that. A batch without an answer in time
    is not repeated.
    """

    def __init__(self, url: str) -> None:
        self._topology = topology_of(url)
        self._connection = RedisConnection(self._topology)
        self._scripts = load_scripts()
        self._waiting: list[_Waiting] = []
        self._is_sending = False
        self.refusal: type[StateError] | None = None
        """While this is not our deployment's store: raised by everything but `REACH_ANY_STORE`."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def command(self, *words: Any) -> Any:
        """Send a command and return its answer."""
        self._require_our_store()
        return await self.send(*words)

    def _require_our_store(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def send(self, *words: Any) -> "asyncio.Future[Any]":
        """Send a command, whichever deployment's store this is, and return a future for its answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((words, answer))
        if not self._is_sending:
            self._is_sending = True
            self._start_sending(loop)
        return answer

    async def script(self, name: str, *arguments: Any) -> Any:
        """Run one of our scripts and return its answer."""
        if name not in REACH_ANY_STORE:
            self._require_our_store()
        script = self._scripts[name]
        # The one key only routes the script in a Cluster: all our keys have the same hash tag.
        try:
            return await self.send("EVALSHA", script.digest, 1, "{peep}", *arguments)
        except NoScriptError:
            # The server was restarted and has forgotten the script, which has changed nothing yet.
            return await self.send("EVAL", script.text, 1, "{peep}", *arguments)

    async def check_server(self, layout_key: str, layout_version: str) -> None:
        """Raise `StoreUnusable` when this server is too old or holds another layout."""
        # On a connection of its own: the batches must not wait as long as this may.
        connection = RedisConnection(self._topology)
        try:
            (about,) = await connection.ask([("INFO", "server")], START_SECONDS)
            _check_version(str(_good(about)))
            # One command: of two, the first could be refused, and repeated after the second was answered.
            taking = ("SET", layout_key, layout_version, "NX", "GET")
            (before,) = await connection.ask([taking], START_SECONDS)
            layout = _good(before) or layout_version
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {START_SECONDS:g} s") from None
        except (RedisError, OSError) as error:
            raise translate(error) from error
        finally:
            await connection.close()
        if layout != layout_version:
            raise StoreUnusable(f"this Redis holds layout {layout} of Peep's state; we need {layout_version}")

    async def subscribe(self, channel: str) -> "Subscription":
        """Return a new subscription to a channel, on a connection of its own. Raises `StateError`."""
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._topology.open(ANSWER_SECONDS)
                await connection.send_command("SUBSCRIBE", channel)
                await connection.read_response(push_request=True)
        except BaseException as error:
            if connection is not None:
                await connection.disconnect(nowait=True)
            if isinstance(error, RedisError | OSError):
                raise translate(error) from error
            raise
        return Subscription(connection)

    def has_left(self, subscription: "Subscription") -> bool:
        """Return whether commands go to another server by now: messages may no longer reach this one."""
        return self._connection.server not in {None, subscription.server}

    async def close(self) -> None:
        """Close every connection; commands without an answer fail with `StoreUnavailable`."""
        for task in list(self._tasks):
            task.cancel()
        await self._connection.close()

    def _start_sending(self, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(self._send_all())  # it begins in the next turn: with all commands of this one
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._send(batch)
        finally:
            self._is_sending = False
            _fail(self._waiting, StoreUnavailable("closed"))

    async def _send(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._connection.ask([words for words, _ in batch], ANSWER_SECONDS)
        except Exception as error:
            failure = translate(error)
            _fail(batch, failure)
            # Commands that came meanwhile fail too, instead of waiting for the next time-out.
            waiting, self._waiting = self._waiting, []
            _fail(waiting, failure)
            return
        except asyncio.CancelledError:
            _fail(batch, StoreUnavailable("closed"))
            raise
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer if isinstance(answer, NoScriptError) else translate(answer))
            else:
                future.set_result(answer)


class Subscription:
    """A connection that is subscribed to one channel."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.server = server_of(connection)

    async def next_message(self, seconds: float) -> str | None:
        """Return the next message, "" for another reply, or None when nothing arrived in time.

        Raises `RedisError` or `OSError` when the connection is cut.
        """
        reply = await self._connection.read_response(timeout=seconds, push_request=True)
        if reply is None:
            return None
        return str(reply[2]) if reply[0] == "message" else ""

    async def ping(self) -> None:
        """Have the server send a reply."""
        await send(self._connection, [("PING",)])

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)


def _check_version(about: str) -> None:
    version = info_fields(about).get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise StoreUnusable(f"Redis {version} is too old: 7.0 or Valkey 7.2 is needed")


def _good(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise translate(answer)
    return answer


def _fail(waiting: list[_Waiting], error: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
