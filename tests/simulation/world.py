"""One schedule: processes, users, faults in an order that a seed decides, and what must hold.

Every process has a clock of its own, with another zero; all clocks, the server's included, run at one
speed. The server's is set now and then, forwards and back. The server keeps its state over a restart.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from random import Random
from typing import Any

from simulation.event_loop import Owner, SimulatedLoop
from simulation.network import CALM, LATEST_ARRIVAL_SECONDS, Network, ScriptServer, SimulatedLink, Troubles
from simulation.process import COUNTED, OPENED, SimulatedProcess, SimulatedRepository, SimulatedSession
from state_store.records import LEASE_SECONDS, RENEWAL_SECONDS, Exchange, Notification, NotificationKind
from state_store.redis import keys
from state_store.repository.user_records import StoredRecords
from state_store.user_records import group_of
from support.actors import OPERATOR

STEPS_SECONDS = (-3600, -60, 60, 3600)

LAST_LINES = 60
"""How much of the story a failure tells."""


class World:
    """What there is in one schedule; `run` goes through it and raises `AssertionError` at a fault."""

    def __init__(self, seed: int, server: ScriptServer) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = SimulatedLoop(self.random)
        self.network = Network(self.loop, self.random, server)
        self.network.executed, self.network.note = self._executed, self.note
        self.server = server
        self.usernames = ["alice", "bob"][: self.random.randint(1, 2)]
        self.address_limit = self.random.choice((0, 2))
        self.limit = self.random.choice((1000, 1000, 3))
        self.maildrops = {
            name: [f"{name}-{number}" for number in range(self.random.randint(1, 5))]
            for name in self.usernames
        }
        self.removed_by: dict[str, SimulatedSession] = {}
        self.holders: dict[str, tuple[str, str]] = {}
        """Who was granted each maildrop last: instance id, session id."""
        self.processes: list[SimulatedProcess] = []
        self.story: list[str] = []
        self._director = Owner(self.loop, "director")
        self._stepped_at = 0.0

    def run(self) -> None:
        """Go through the schedule."""
        server = self.server
        server.command("FLUSHALL")
        server.stepped_seconds = 0.0
        for name in self.usernames:
            server.script("add_users", 0, OPERATOR.packed(), 0, 0, name, "v1 hash")
        server.command("HSET", keys.SETTINGS, "max_connections", self.limit)
        try:
            self.loop.run(self._director, self._direct())
        except BaseException as error:
            story = "\n".join(self.story[-LAST_LINES:])
            raise AssertionError(f"seed {self.seed}: {error}\n{story}") from error
        finally:
            self.loop.close()

    def note(self, line: str) -> None:
        """Remember a line of the story."""
        self.story.append(f"{self.loop.time():9.4f} {line}")

    # The schedule

    async def _direct(self) -> None:
        for number in range(self.random.randint(2, 4)):
            self.processes.append(SimulatedProcess(self, f"process {number}"))
        await asyncio.sleep(0.1)
        self.network.troubles = self._some_troubles()
        for _ in range(self.random.randint(6, 14)):
            await asyncio.sleep(self.random.choice((0.01, 0.1, 1, 3)) * self.random.random())
            self._act()
        await self._heal()
        self._check_end()

    def _some_troubles(self) -> Troubles:
        if self.random.random() < 0.3:
            return CALM
        few, many = 0.05, 0.25
        return Troubles(*(self.random.choice((0.0, few, many)) for _ in range(5)))

    def _act(self) -> None:
        """Let one thing happen."""
        running = [process for process in self.processes if process.is_serving]
        if not running:
            self._start_process()
            return
        process = self.random.choice(running)
        point = self.random.random()
        if point < 0.55:
            for _ in range(self.random.randint(1, 3)):
                self.random.choice(running).open_session()
        elif point < 0.68:
            self._pause(process)
        elif point < 0.82:
            self._spawn(self._cut_off(process.link))
        elif point < 0.86:
            self._spawn(self._restart_server())
        elif point < 0.89:
            self._step_clock(self.random.choice(STEPS_SECONDS))
        elif point < 0.95:
            self.note(f"{process.name} is killed")
            process.kill()
            self._spawn(self._look_for_ghosts(process))
        else:
            self.note(f"{process.name} is stopped")
            process.stop()
        if len([one for one in self.processes if not one.is_over]) < 2:
            self._start_process()

    def _pause(self, process: SimulatedProcess) -> None:
        seconds = self.network.between(0.1, 1.4 * LEASE_SECONDS)

        def pause() -> None:
            self.note(f"{process.name} is paused for {seconds:.2f} s")
            process.pause(seconds)

        if self.random.random() < 0.5:
            pause()
        else:
            process.link.once_sent = pause

    def _start_process(self) -> None:
        if len(self.processes) < 6:
            self.processes.append(SimulatedProcess(self, f"process {len(self.processes)}"))

    def _spawn(self, fault: Coroutine[Any, Any, None]) -> None:
        self.loop.create_task(fault, context=self._director.context)

    async def _cut_off(self, link: SimulatedLink) -> None:
        seconds = self.network.between(0.1, 1.4 * LEASE_SECONDS)
        self.note(f"{link.name} is cut off for {seconds:.2f} s")
        link.is_cut_off = True
        await asyncio.sleep(seconds)
        link.is_cut_off = False

    async def _restart_server(self) -> None:
        self.note("the server goes down")
        self.network.is_server_down = True
        await asyncio.sleep(self.network.between(0.01, 3))
        self.network.is_server_down = False
        self.note("the server is up again")

    def _step_clock(self, seconds: float) -> None:
        self.note(f"the clock of the server steps by {seconds:g} s")
        self.server.stepped_seconds += seconds
        self._stepped_at = self.loop.time()
        self._ask("instances")  # from the first look on, the dead have a lease's time at most

    async def _heal(self) -> None:
        """End all faults and let all sessions come to their end."""
        self.network.troubles = CALM
        await asyncio.sleep(1.5 * LEASE_SECONDS)
        while any(process.sessions for process in self._alive()):
            await asyncio.sleep(1)
        await asyncio.sleep(LATEST_ARRIVAL_SECONDS)
        while any(not process.is_over and not process.is_serving for process in self.processes):
            await asyncio.sleep(1)
        # Where none is left alive nobody looks at the leases, and time that nobody sees does not pass.
        for _ in range(4):
            self._ask("observe")
            await asyncio.sleep(RENEWAL_SECONDS)

    def _alive(self) -> list[SimulatedProcess]:
        return [process for process in self.processes if not process.is_over]

    # 1. No two sessions hold one maildrop

    def _executed(self, exchange: Exchange, answer: Any) -> None:
        if answer[5]:
            self._want_slots()
        for login, outcome in zip(exchange.logins, answer[7], strict=True):
            if outcome == "opened":
                wanted = exchange.instance_id, login.session_id
                self.note(f"{login.username} is granted to {wanted}")
                for session in self._holding(login.username):
                    assert (session.lease, session.session_id) == wanted, (
                        f"{login.username} is granted to {wanted} while {session.session_id} holds it"
                    )
                self.holders[login.username] = wanted

    def _holding(self, username: str) -> Iterator[SimulatedSession]:
        """Yield the sessions that hold a maildrop by the clocks of their own processes."""
        for process in self._alive():
            for session in process.sessions:
                if session.username == username and session.state == OPENED and self._has_lease(session):
                    yield session

    def _has_lease(self, session: SimulatedSession) -> bool:
        process = session.process
        return (
            session.lease == process.instance.instance_id
            and process.clock() < process.instance._lease.ends_at
        )

    def remove(self, session: SimulatedSession, message: str) -> None:
        """Take a message out of its maildrop, for a session that must hold it at this moment."""
        self.note(f"{session.session_id} removes {message}")
        holder = self.holders[session.username]
        assert holder == (session.lease, session.session_id), (
            f"{session.session_id} removes {message}, but the maildrop was granted to {holder}"
        )
        assert self._has_lease(session), f"{session.session_id} removes {message} without its lease"
        self.maildrops[session.username].remove(message)
        self.removed_by[message] = session

    def check_goes_on(self, session: SimulatedSession) -> None:
        """Check that a session in TRANSACTION was not forgotten when its process lost the lease."""
        assert session.lease == session.process.instance.instance_id, (
            f"{session.session_id} goes on though the lease of its lock has lapsed"
        )

    # 4. A message is gone only when its session said so

    def list_maildrop(self, session: SimulatedSession) -> list[str]:
        """Return what a login lists."""
        return list(self.maildrops[session.username])

    def check_reply(self, session: SimulatedSession) -> None:
        """Check that the reply to QUIT says what became of the marked messages."""
        self.note(f"{session.session_id} quits: {session.reply}")
        if session.reply == "+OK":
            remaining = set(session.marked) & set(self.maildrops[session.username])
            assert not remaining, f"{session.session_id} was told +OK, but {sorted(remaining)} remain"
            return
        # Whoever got the maildrop meanwhile may have removed the rest.
        assert session.removed != session.marked, f"{session.session_id} removed all, and was told another"
        is_refused = session.reply == "-ERR [SYS/TEMP]"
        assert not (is_refused and session.removed), f"{session.session_id} removed some and said none"

    # 2. No ghosts

    async def _look_for_ghosts(self, process: SimulatedProcess) -> None:
        """Look until 15 s after the server last heard of a process that was killed, or its clock was set."""
        ended_at = self.loop.time()
        self._ask("instances")  # somebody looks, as long as it takes: time that nobody sees does not pass
        await asyncio.sleep(1.001)
        while True:
            last_heard = max(ended_at, process.link.heard_at, self._stepped_at)
            remaining = last_heard + LEASE_SECONDS + 0.002 - self.loop.time()
            if remaining <= 0:
                break
            self._ask("instances")
            await asyncio.sleep(min(remaining, 1.0))
        self._check_no_trace_of(process)

    def _ask(self, script: str, *arguments: Any) -> Any:
        return self.server.script(script, self.loop.time(), *arguments)

    def _check_no_trace_of(self, process: SimulatedProcess) -> None:
        lives = {row[2][row[2].index("host") + 1] for row in self._ask("instances")}
        assert process.name not in lives, f"the lease of {process.name} goes on after its death"
        for username in self._ask("logged_in_users"):
            instance_id = self.server.command("HGET", keys.MAILDROPS, username).split()[0]
            host = self.server.command("HGET", keys.INSTANCE + instance_id, "host")
            assert host != process.name, f"{process.name} is dead and holds the lock of {username}"

    def _check_end(self) -> None:
        """Check that nothing is left of any session, and that every count was taken once."""
        rows = [row for _, rows in self._ask("sessions") for row in rows]
        assert rows == [], f"sessions that have ended are shown: {rows}"
        *counted, open_connections, logged_in = map(int, self._ask("observe"))
        assert open_connections == 0, f"{open_connections} connections that have ended are counted"
        locks = self.server.command("HGETALL", keys.MAILDROPS)
        assert logged_in == 0, f"locks that nobody holds: {locks}"
        addresses = self.server.command("KEYS", keys.ADDRESSES + "*")
        assert addresses == [], f"places that nobody takes: {addresses}"
        leases = self.server.command("ZCARD", keys.LEASES)
        assert leases == len(self._alive()), f"{leases} leases of {len(self._alive())} processes"
        self._check_counts(dict(zip(COUNTED, counted, strict=True)))
        self._check_user_records(dict(zip(COUNTED, counted, strict=True)))
        self._check_maildrops()

    # 3. No lost counts, none twice

    def _check_counts(self, stored: dict[str, int]) -> None:
        told: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        for process in self.processes:
            told.update(process.counted)
            lost.update(process.lost_counts)
        for name in COUNTED:
            least = told[name] - lost[name]
            assert least <= stored[name] <= told[name], (
                f"{name}: {stored[name]} in the store, {told[name]} counted, at most {lost[name]} lost"
            )

    # 5. What is kept of users adds up to the counts

    def _check_user_records(self, stored: dict[str, int]) -> None:
        groups = sorted({group_of(name) for name in self.usernames})
        records = StoredRecords(
            groups, self._ask("user_records", *(f"{keys.USER_RECORDS}{one}" for one in ("", *groups)))
        )
        found = [one.read(records.at) for one in (*map(records.of, self.usernames), records.of_strangers(()))]
        # The server's clock is set to and fro, and the days of a week are more than that.
        octets, messages = sum(one.week.octets for one in found), sum(one.week.messages for one in found)
        assert (octets, messages) == (stored["retrieved_bytes"], stored["retrieved_emails"]), (
            f"{octets} octets and {messages} messages of users, {stored} in all"
        )

    def _check_maildrops(self) -> None:
        for message, session in self.removed_by.items():
            assert session.has_quit, f"{message} was removed by a session without QUIT"
            assert message in session.marked, f"{message} was removed and never marked"
            assert session.reply in {"+OK", "-ERR some remain"} or session.process.is_over, (
                f"{message} was removed, and its session was told {session.reply!r}"
            )

    # The limits, over all processes that hold their lease

    def _want_slots(self) -> None:
        for process in self._alive():
            if process.is_serving and self.random.random() < 0.9:
                repository = process.instance._lease._repository
                assert isinstance(repository, SimulatedRepository)
                self.loop.call_later(
                    self.network.way(),
                    repository.channel.put_nowait,
                    Notification(NotificationKind.SLOTS_WANTED),
                    context=self.network.owner.context,
                )

    def check_limits(self) -> None:
        """Check that no more are in than may be."""
        inside = [
            session
            for process in self._alive()
            for session in process.sessions
            if session.is_inside
            and session.process.clock() < process.instance._lease.ends_at
            and session.session_id.startswith(process.instance.instance_id)
        ]
        assert len(inside) <= self.limit, f"{len(inside)} connections, {self.limit} allowed"
        if self.address_limit:
            for address, count in Counter(session.address for session in inside).items():
                assert count <= self.address_limit, f"{count} connections of {address}"
