"""A POP3 process that is paused for longer than its lease, and one that is killed outright."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from state_store.records import SessionRow
from state_store.redis import keys
from support.fault_world import GHOST_SECONDS
from support.patience import PATIENT_WITH_THE_STORE
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer

MESSAGE = b"Subject: short\n\nHello\n"
LONG_MESSAGE = b"Subject: long\n\n" + (b"y" * 70 + b"\n") * 100_000
WHAT_THE_LATE_ARE_TOLD = b"-ERR [SYS/TEMP]"


@contextmanager
def paused(process_id: int) -> Iterator[None]:
    """Let a process stand still, as on a machine that swaps or is being moved."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def sessions(service: Pop3Process) -> list[SessionRow]:
    """Return what `GET /v1/sessions` shows."""
    return service._runner.run(service.repository.sessions())


def process_ids(service: Pop3Process) -> dict[str, int]:
    """Return the process of every instance that has a lease."""
    instances = [status.instance for status in service._runner.run(service.repository.instances())]
    return {instance.instance_id: instance.process_id for instance in instances}


def two_services(stack: ExitStack, server: RedisServer, folder: Path) -> tuple[Pop3Process, Pop3Process]:
    """Start two services over the same mail and the same Redis."""
    (folder / "early").mkdir()
    (folder / "late").mkdir()
    patience = PATIENT_WITH_THE_STORE  # which nobody takes away here
    late = stack.enter_context(Pop3Process(server.url, folder / "late", periods=patience))
    early = Pop3Process(server.url, folder / "early", periods=patience, PEEP_MAIL_DIR=str(late.mail))
    return late, stack.enter_context(early)


def can_log_in(service: Pop3Process, username: str) -> bool:
    """Try to log in; only `[IN-USE]` may hinder that."""
    with service.connect() as client:
        client.ask(f"USER {username}")
        reply = client.ask(f"PASS {PASSWORD}")
        if reply.startswith(b"+OK"):
            return client.quit().startswith(b"+OK")
        assert reply.startswith(b"-ERR [IN-USE]")
        return False


def is_cut_inside_the_message(client: Pop3Client) -> bool:
    """Return whether the stream ends without the termination line, and without any reply after it."""
    rest = client.rest()
    return not rest.endswith(b".\r\n") and b"-ERR" not in rest[-512:]


def test_process_that_was_paused_for_longer_than_its_lease_tells_its_clients_and_removes_nothing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        late, early = two_services(stack, redis_server, tmp_path)
        names = [late.add_user(MESSAGE, MESSAGE) for _ in range(2)] + [late.add_user(LONG_MESSAGE)]
        idle_name, quitting_name, reading_name = names
        idle, quitting = (stack.enter_context(late.log_in(name)) for name in (idle_name, quitting_name))
        reading = stack.enter_context(late.connect(window=8192)).log_in(reading_name)
        for client in (idle, quitting):
            assert client.ask("DELE 1").startswith(b"+OK")
        assert reading.ask("DELE 1").startswith(b"+OK")
        assert reading.ask("RSET").startswith(b"+OK")
        assert reading.ask("RETR 1").startswith(b"+OK")
        with paused(late.process.pid):
            # It has this to read before it can learn that its lease is over.
            quitting.send(b"QUIT\r\n")
            wait_until(lambda: all(can_log_in(early, name) for name in names), "free locks", GHOST_SECONDS)
            takers = [stack.enter_context(early.log_in(name)) for name in names]
            assert [taker.ask("STAT")[:6] for taker in takers] == [b"+OK 2 ", b"+OK 2 ", b"+OK 1 "]
            assert early.logged_in_users() == sorted(names)
            wait_until(lambda: early.counters().current_connections == 3, "only they are connected")
        assert idle.line().startswith(WHAT_THE_LATE_ARE_TOLD)
        assert idle.rest() == b""
        assert quitting.line().startswith(WHAT_THE_LATE_ARE_TOLD)
        assert quitting.rest() == b""
        assert is_cut_inside_the_message(reading)
        # The others still have what is theirs, and all of it.
        for taker in takers:
            assert taker.ask_lines("RETR 1")[0].startswith(b"Subject: ")
        assert [len(late.files(name)) for name in names] == [2, 2, 1]
        assert early.logged_in_users() == sorted(names)
        for taker in takers:
            assert taker.ask("DELE 1").startswith(b"+OK")
            assert taker.quit().startswith(b"+OK")
        assert [len(late.files(name)) for name in names] == [1, 1, 0]
        wait_until(lambda: early.counters().removed_emails == 3, "three are counted as removed")
        idle.close()
        assert late.log.read_text().count("the lease is over: closing all sessions") == 1
        wait_until(lambda: late.log.read_text().count('"ending": "lease lost"') == 2, "the log says so")
        # It is as good as new.
        assert can_log_in(late, idle_name)


def test_lock_of_a_late_session_is_not_given_back_with_its_end(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        late, early = two_services(stack, redis_server, tmp_path)
        username = late.add_user(MESSAGE)
        client = stack.enter_context(late.log_in(username))
        with paused(late.process.pid), redis_server.client() as administrator:
            # What the passing of 15 s does, at once: the lease ended long ago.
            (late_instance,) = (
                instance for instance, pid in process_ids(early).items() if pid == late.process.pid
            )
            administrator.zadd(keys.LEASES, {late_instance: 1}, xx=True)
            wait_until(lambda: can_log_in(early, username), "the lock is free")
            taker = stack.enter_context(early.log_in(username))
            client.send(b"DELE 1\r\nNOOP\r\n")
        client.rest()
        with late.connect() as third:
            third.ask(f"USER {username}")
            assert third.ask(f"PASS {PASSWORD}").startswith(b"-ERR [IN-USE]")
        assert taker.ask("STAT").startswith(b"+OK 1 ")
        assert late.files(username) != []


def test_killed_worker_leaves_no_ghosts_for_longer_than_its_lease(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        service = stack.enter_context(Pop3Process(redis_server.url, tmp_path, workers=2))
        names = sorted(service.add_user(MESSAGE) for _ in range(8))
        clients = {name: stack.enter_context(service.log_in(name)) for name in names}
        for client in clients.values():
            assert client.ask("DELE 1").startswith(b"+OK")
        wait_until(lambda: {row.username for row in sessions(service)} == set(names), "all rows are there")
        of_instance = {row.username: row.instance_id for row in sessions(service)}
        victim = of_instance[names[0]]
        dead = [name for name in names if of_instance[name] == victim]
        alive = [name for name in names if of_instance[name] != victim]
        os.kill(process_ids(service)[victim], signal.SIGKILL)
        for name in dead:
            assert clients[name].rest() == b""

        def is_right() -> bool:
            counters = service.counters()
            return (
                service.logged_in_users() == alive
                and counters.current_connections == len(alive)
                and counters.logged_in_users == len(alive)
                and sorted(str(row.username) for row in sessions(service)) == alive
                and victim not in process_ids(service)
            )

        wait_until(is_right, "no ghost is left", GHOST_SECONDS)
        for name in dead:
            with service.log_in(name) as client:
                assert client.ask("STAT").startswith(b"+OK 1 ")
                assert client.quit().startswith(b"+OK")
        # Who was served by the other worker has not noticed.
        for name in alive:
            assert clients[name].quit().startswith(b"+OK")
        assert [len(service.files(name)) for name in names] == [int(name in dead) for name in names]
        wait_until(lambda: service.counters().removed_emails == len(alive), "removals are counted")
