"""Stories that random faults have found, each told once more in the order that mattered."""

import asyncio
import signal
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path

import redis

from line_server.connection import LineConnection
from line_server.listener_options import PLAIN
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.disk import LANE_THREADS, LONG_THREADS, DiskThreads
from pop3_service.listing import Listings
from pop3_service.maildir import Maildirs
from pop3_service.protocol import replies
from pop3_service.protocol.policy import Policy
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import LEASE_SECONDS, Counters
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process
from support.redis_server import RedisServer
from support.waiting import until

MESSAGE = b"Subject: one\n\nHello\n"
PATIENT_FAREWELL = {"state_store.instance.exchanges.FAREWELL_SECONDS": 20.0}
"""Of the three seconds too little would be left for a machine that stands still while Redis starts."""


def test_a_service_that_has_to_end_while_redis_is_away_tells_what_it_counted_when_redis_returns(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    # Found by "services are restarted in good order": SIGTERM fell into an outage of Redis.
    with (
        Pop3Process(redis_server.url, tmp_path, periods=PATIENT_FAREWELL) as service,
        service.log_in(service.add_user(MESSAGE)) as client,
    ):
        octets_before = client.octets_read
        service.expect_counters(_counters(octets_before, 0, gauges=1))
        redis_server.kill()
        client.ask_lines("RETR 1")
        service.process.send_signal(signal.SIGTERM)
        octets = client.octets_read
        assert client.line().startswith(b"-ERR [SYS/TEMP] the server is going down")
        threading.Event().wait(1.5)  # longer than one question to Redis waits for its answer
        redis_server.start()
        assert service.process.wait(SECONDS) == 0
        service.expect_counters(_counters(octets, 1, gauges=0))


async def test_a_removal_that_comes_after_its_lease_is_withheld_though_the_worker_has_a_new_lease(
    redis_url: str, tmp_path: Path
) -> None:
    # Found by "a worker sleeps too long": QUIT was read just before the worker learnt that its lease
    # was over, and the disk's turn came just after it had registered anew.
    connections: set[LineConnection] = set()
    skipped = 0.0

    def lease_lapsed() -> None:
        for connection in list(connections):
            assert isinstance(connection, Pop3Connection)
            connection.dismiss("lease lost", replies.STATE_STORE_UNREACHABLE)

    async with AsyncExitStack() as stack:
        repository = StateRepository(redis_url)
        stack.push_async_callback(repository.close)
        passwords = Passwords()
        stack.callback(passwords.close)
        disk, maildirs = DiskThreads(), Maildirs()
        stack.callback(disk.close)
        instance = LiveInstance(
            repository,
            InstanceOptions("here", 1, "1"),
            InstanceCallbacks(
                lambda _: asyncio.sleep(0, ""), settings_changed=lambda: None, lease_lapsed=lease_lapsed
            ),
            lambda: time.monotonic() + skipped,
        )
        await repository.announce_mail_directory(str(tmp_path), overrides=True, by=OPERATOR)
        await repository.add_user("anna", await passwords.new_credential(PASSWORD), by=OPERATOR)
        message = tmp_path / "anna" / "new" / "1.M1.host"
        message.parent.mkdir(parents=True)
        message.write_bytes(MESSAGE)
        await instance.start()
        stack.push_async_callback(instance.stop)
        authenticator = Authenticator(repository, passwords)
        policy = Policy(implementation="Peep")
        listings = Listings(maildirs, disk)
        context = Pop3Context(instance, maildirs, passwords, authenticator, disk, listings, policy, None)
        server = await asyncio.get_running_loop().create_server(
            lambda: Pop3Connection(context, connections, PLAIN), "127.0.0.1", 0
        )
        stack.callback(server.close)
        client = await asyncio.to_thread(Pop3Client, server.sockets[0].getsockname())
        stack.callback(client.close)
        await asyncio.to_thread(client.log_in, "anna")
        assert await asyncio.to_thread(client.ask, "DELE 1") == replies.MARKED

        disk_is_free = threading.Event()
        stack.callback(disk_is_free.set)
        lane = message.stat().st_dev
        for _ in range(LANE_THREADS + LONG_THREADS):
            disk.begin(lane, disk_is_free.wait)
        client.send(b"QUIT\r\n")
        busy = disk._lanes[lane]
        await until(lambda: len(busy.running) + len(busy.waiting) == LANE_THREADS + LONG_THREADS + 1)
        first_instance_id = instance.instance_id
        skipped = LEASE_SECONDS + 1
        with redis.Redis.from_url(redis_url) as store:
            store.zrem(keys.LEASES, first_instance_id)
        instance.counted()
        await until(lambda: instance.instance_id != first_instance_id and instance._lease.ends_at > 0)
        disk_is_free.set()
        reply = await asyncio.to_thread(client.line)
        assert (reply, message.exists()) == (replies.UPDATE_REFUSED, True)


def _counters(octets: int, retrieved: int, *, gauges: int) -> Counters:
    return Counters(octets, retrieved, 0, gauges, gauges, historical_connections=1, historical_logins=1)
