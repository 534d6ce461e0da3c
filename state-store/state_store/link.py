"""The way to Redis: what many connections ask in one turn of the event loop travels in one round trip."""

import asyncio
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from state_store.errors import StateError, StoreUnavailable, StoreUnusable
from state_store.scripting import load_scripts

ANSWER_SECONDS = 0.8
"""How long Redis may take to answer, a reconnection included: an outage shows in under a second."""

START_SECONDS = 5.0
"""How long the first questions to a server may take: it may be reading its append-only file."""

OLDEST_SERVER = (7, 0)

_Waiting = tuple[tuple[Any, ...], "asyncio.Future[Any]"]


class RedisLink:
    """Sends commands to Redis, all of one loop turn together; one batch is under way at a time.

    Every failure to get an answer is `StoreUnavailable`. A connection that was cut is made again and
    the batch sent again, so a command may be carried out twice: each must bear that. A batch that got
    no answer in time is not repeated.
    """

    def __init__(self, url: str) -> None:
        # Time is limited here, for a whole batch with its reconnection, and nowhere else.
        self._client = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=None,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self._scripts = load_scripts()
        self._waiting: list[_Waiting] = []
        self._is_sending = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def command(self, *words: Any) -> Any:
        """Send a command and return its answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((words, answer))
        if not self._is_sending:
            self._is_sending = True
            loop.call_soon(self._start_sending)
        return await answer

    async def script(self, name: str, *arguments: Any) -> Any:
        """Run one of our scripts and return its answer."""
        script = self._scripts[name]
        # The one key only tells a Cluster where to run: all our keys have the same hash tag.
        try:
            return await self.command("EVALSHA", script.digest, 1, "{peep}", *arguments)
        except NoScriptError:
            # The server was restarted; the refused script changed nothing, so it is sent whole.
            return await self.command("EVAL", script.text, 1, "{peep}", *arguments)

    async def check_server(self, layout_key: str, layout_version: str) -> None:
        """Raise `StoreUnusable` when this server is too old or holds another layout."""
        async with translated(), asyncio.timeout(START_SECONDS):
            found = await self._client.info("server")
            version = str(found.get("redis_version", "0"))
            if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
                raise StoreUnusable(f"Redis {version} is too old: 7.0 or Valkey 7.2 is needed")
            await self._client.set(layout_key, layout_version, nx=True)
            layout = str(await self._client.get(layout_key))
            if layout != layout_version:
                raise StoreUnusable(
                    f"this Redis holds layout {layout} of Peep's state; we need {layout_version}"
                )

    def subscription(self) -> redis.asyncio.client.PubSub:
        """Return a new subscription, on a connection of its own."""
        return self._client.pubsub()

    async def close(self) -> None:
        """Close every connection; what still waits for an answer gets `StoreUnavailable`."""
        for task in list(self._tasks):
            task.cancel()
        await self._connection.disconnect(nowait=True)
        await self._client.aclose()

    def _start_sending(self) -> None:
        task = asyncio.get_running_loop().create_task(self._send_all())
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
            answers = await self._ask([words for words, _ in batch])
        except Exception as error:
            failure = StoreUnavailable(_describe(error))
            _fail(batch, failure)
            # Those who came meanwhile have waited as long: they shall not wait for the next time-out.
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
                future.set_exception(_translate(answer))
            else:
                future.set_result(answer)

    async def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    return await self._converse(commands)
                except (RedisConnectionError, OSError):
                    # The server was restarted, or the connection cut: once more, on a new one.
                    await self._connection.disconnect(nowait=True)
                    return await self._converse(commands)
        except BaseException:
            # Answers that nobody waits for any more must not be taken for the next batch's.
            await self._connection.disconnect(nowait=True)
            raise

    async def _converse(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands))
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response())
            except ResponseError as error:
                answers.append(error)
        return answers


class translated:  # noqa: N801 - reads as a statement
    """A block in which Redis' errors become ours."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError):
            raise _translate(error) from error


def _translate(error: Exception) -> Exception:
    # Out of memory, read-only, loading, no permission: it answers, and cannot serve us now.
    if isinstance(error, NoScriptError | StateError):
        return error
    return StoreUnavailable(_describe(error))


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS} s"
    return str(error)


def _fail(waiting: list[_Waiting], error: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
