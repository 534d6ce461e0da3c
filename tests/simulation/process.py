"""POP3 processes with the real `LiveInstance`, and sessions that do what the POP3 service's sessions do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from random import Random
from typing import TYPE_CHECKING, cast

from simulation.event_loop import Owner
from simulation.network import SimulatedLink
from state_store.errors import StoreUnavailable
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import (
    Deltas,
    Exchange,
    ExchangeResult,
    Login,
    LoginOutcome,
    Notification,
    SessionRow,
)
from state_store.redis.client import RedisClient
from state_store.repository import StateRepository

if TYPE_CHECKING:
    from simulation.world import World

COUNTED = ("retrieved_bytes", "retrieved_emails", "removed_emails", "connections", "logins")

LONGEST_UNLINK_SECONDS = 2.99
"""How long it may take from the look at the lease until the file is gone: less than the margin of 3 s."""

LOCK_PATIENCE_SECONDS = 0.2
LOCK_POLL_SECONDS = 0.05

OPENED = "transaction"
"""The state of a session that has opened its maildrop."""


class SimulatedRepository(StateRepository):
    """The real repository on a simulated way to Redis."""

    def __init__(self, link: SimulatedLink) -> None:
        self._client = cast(RedisClient, link)
        self._deployment_learned = lambda _: None
        self.deployment = ""
        self._simulated_link = link
        self.channel: asyncio.Queue[Notification] = asyncio.Queue()

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        self._simulated_link.exchange = exchange
        return await super().exchange(exchange, reap=reap)

    async def take_user_notes(
        self, instance_id: str, *, from_octets: int = 1, groups_at_once: int = 1
    ) -> None:
        await super().take_user_notes(instance_id, from_octets=from_octets, groups_at_once=groups_at_once)

    async def notifications(self) -> AsyncIterator[Notification]:
        while True:
            yield await self.channel.get()


class SimulatedProcess:
    """One POP3 process: its instance, its sessions, the thread that removes, its own clock."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.loop_owner = Owner(world.loop, name)
        self.disk_owner = Owner(world.loop, name + "'s disk thread")
        self.link = SimulatedLink(world.network, name)
        self.link.resumes_at = lambda: self.loop_owner.paused_until
        self.sessions: list[SimulatedSession] = []
        self.counted: Counter[str] = Counter()
        self.pauses = 0
        self.is_serving = False
        self.is_over = False
        """It was killed, or stopped and its end told."""
        self.lost_counts: Counter[str] = Counter()
        """What it may have counted in vain: it was killed, or could not tell its end."""
        self._clock_error = world.network.between(0, 1000)
        self.instance: LiveInstance
        self.task = world.loop.create_task(self._serve(), context=self.loop_owner.context)

    @property
    def random(self) -> Random:
        return self.world.random

    def clock(self) -> float:
        """Return the time by a clock of its own, which tells nothing about any other."""
        return self.world.loop.time() + self._clock_error

    def count(self, **amounts: int) -> None:
        """Count as a connection does, and remember it."""
        for name, amount in amounts.items():
            setattr(self.instance.deltas, name, getattr(self.instance.deltas, name) + amount)
            self.counted[name] += amount
        self.instance.counted()

    def unconfirmed(self) -> Counter[str]:
        """Return what it has counted and never heard that the store took."""
        outbox = self.instance._outbox
        total = Deltas()
        total.add(outbox.deltas)
        total.add(outbox._unconfirmed or Deltas())
        return Counter({name: getattr(total, name) for name in COUNTED})

    def still_holds(self, session: "SimulatedSession") -> bool:
        """Return whether a session may remove messages, as the POP3 service's sessions ask."""
        return self.instance.still_holds(session.lease)

    def open_session(self) -> None:
        """Let a client connect."""
        if self.is_serving and not self.is_over:
            session = SimulatedSession(self)
            self.sessions.append(session)
            session.begin()

    def pause(self, seconds: float) -> None:
        """Stop all its threads for so long, as SIGSTOP does."""
        self.pauses += 1
        for owner in (self.loop_owner, self.disk_owner):
            owner.paused_until = self.world.loop.time() + seconds

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.lost_counts = self.unconfirmed() if self.is_serving else Counter()
        self._end()
        for owner in (self.loop_owner, self.disk_owner):
            owner.kill()

    def stop(self) -> None:
        """Close all sessions, then tell the end, as SIGTERM does."""
        self.is_serving = False
        self.world.loop.create_task(self._stop(), context=self.loop_owner.context)

    async def _serve(self) -> None:
        self.instance = LiveInstance(
            SimulatedRepository(self.link),
            InstanceOptions(self.name, 1, "1", max_connections_per_address=self.world.address_limit),
            InstanceCallbacks(
                self._directory_fault, settings_changed=lambda: None, lease_lapsed=self._lease_lapsed
            ),
            self.clock,
        )
        while True:
            try:
                await self.instance.start()
                break
            except StoreUnavailable:
                await asyncio.sleep(0.5)
        self.is_serving = not self.is_over

    async def _directory_fault(self, path: str) -> str:
        return ""

    async def _stop(self) -> None:
        for session in list(self.sessions):
            session.dismiss("stopping")
        while self.sessions:
            await asyncio.sleep(0.05)
        failures, pauses = self.link.failures, self.pauses
        await self.instance.stop()
        # A pause may have taken all the time that it has for its farewell.
        if self.link.failures > failures or self.pauses > pauses:
            self.lost_counts = self.unconfirmed()
        self._end()

    def _end(self) -> None:
        self.is_serving, self.is_over = False, True
        self.link.process_ended_at = self.world.loop.time()

    def _lease_lapsed(self) -> None:
        self.world.note(f"{self.name}: lease of {self.instance.instance_id} lapsed")
        for session in list(self.sessions):
            session.dismiss("lapsed")


class SimulatedSession:
    """One POP3 session: admission, login, reading, and one of the ways in which sessions end.

    It does what connection.py, login.py and removal.py of the POP3 service do, in their order; what
    they do in one step is one step here.
    """

    def __init__(self, process: SimulatedProcess) -> None:
        self.process, self.world = process, process.world
        random = process.random
        self.username = random.choice(process.world.usernames)
        self.address = random.choice(("192.0.2.1", "192.0.2.2"))
        self.session_id = ""
        self.state = "new"
        self.lease = ""
        """The instance id under which it holds its maildrop."""
        self.marked: list[str] = []
        self.removed: list[str] = []
        self.reply = ""
        self._listing: list[str] = []
        self.has_quit = False
        self._is_working = False
        self._is_dismissed = False
        self._is_lost = False
        self._has_slot = False
        self._task: asyncio.Task[None]

    @property
    def is_inside(self) -> bool:
        """Whether it has a slot."""
        return self._has_slot

    def begin(self) -> None:
        """Begin the dialogue."""
        loop, random = self.world.loop, self.process.random
        context = self.process.loop_owner.context
        self._task = loop.create_task(self._converse(), context=context)
        if random.random() < 0.15:
            loop.call_later(self.world.network.between(0, 8), self._client_leaves, context=context)

    def dismiss(self, reason: str) -> None:
        """End it without UPDATE; work under way comes to its end (connection.py's `dismiss`)."""
        if self._is_working:
            self._is_dismissed = True
        elif self._has_slot:
            self._task.cancel()
            self._close()

    def _client_leaves(self) -> None:
        self._is_lost = True
        if self._has_slot and not self._is_working:
            self._task.cancel()
            self._close()

    async def _converse(self) -> None:
        if await self._enter():
            await self._think(0.3)
            if await self._work(self._log_in()):
                await self._read()
                if self.process.random.random() < 0.8:
                    self.has_quit = True
                    await self._work(self._remove())
            self._close()
        if self in self.process.sessions:
            self.process.sessions.remove(self)

    async def _enter(self) -> bool:
        instance = self.process.instance
        if not instance.admit_at_once():
            try:
                outcome = await instance.admit(self.address)
            except StoreUnavailable:
                return False
            if not outcome:
                return False
        self._has_slot = True
        self.session_id = instance.new_session_id()
        self.process.count(connections=1)
        instance.session_opened(self.session_id, self._row)
        if self._is_lost:
            self._close()
            return False
        self.world.check_limits()
        return True

    def _row(self) -> SessionRow:
        instance_id = self.process.instance.instance_id
        return SessionRow(self.session_id, instance_id, self.username, self.address, 0.0)

    async def _work(self, work: Coroutine[None, None, bool]) -> bool:
        """Do work that neither dismissal nor the client's leaving interrupts."""
        self._is_working = True
        succeeded = await work
        self._is_working = False
        return succeeded and not self._is_dismissed and not self._is_lost

    async def _log_in(self) -> bool:
        instance = self.process.instance
        maildir = f"maildir of {self.username}"
        is_known = self.process.random.random() < 0.5
        login = Login(self.username, self.session_id, "v1", self.address, maildir=maildir if is_known else "")
        if not await self._lock(login):
            return False
        lease = instance.instance_id
        if not is_known:
            await asyncio.sleep(self.world.network.between(0, 0.01))  # a thread opens the maildir
            if not await self._lock(login._replace(maildir=maildir)):
                instance.withdraw_login(self.username, self.session_id)
                return False
        self.state, self.lease = OPENED, lease
        await asyncio.sleep(self.world.network.between(0, 0.01))  # a thread lists the maildrop
        if self.process.random.random() < 0.05:
            self.state = "unreadable"
            instance.withdraw_login(self.username, self.session_id)
            return False
        self._listing = self.world.list_maildrop(self)
        if not self._is_lost:
            self.process.count(logins=1)
            instance.session_opened(self.session_id, self._row)
        return True

    async def _lock(self, login: Login) -> bool:
        loop = self.world.loop
        patience_ends = loop.time() + LOCK_PATIENCE_SECONDS
        while True:
            try:
                outcome = await self.process.instance.lock_maildrop(login)
            except StoreUnavailable:
                return False
            if outcome is not LoginOutcome.IN_USE or loop.time() > patience_ends:
                return outcome is LoginOutcome.OPENED
            await asyncio.sleep(LOCK_POLL_SECONDS)

    async def _read(self) -> None:
        random = self.process.random
        for message in self._listing:
            await self._think(0.2)
            self.world.check_goes_on(self)
            octets = random.randrange(1, 5000)
            self.process.count(retrieved_bytes=octets, retrieved_emails=1)
            self.process.instance.user_notes.traffic(self.username, octets, 1)
            if random.random() < 0.6:
                self.marked.append(message)
        await self._think(0.1 if random.random() < 0.7 else 18)

    async def _remove(self) -> bool:
        task = self.world.loop.create_task(self._remove_marked(), context=self.process.disk_owner.context)
        withheld = await task
        self.process.count(removed_emails=len(self.removed))
        self._give_back_maildrop()
        # The reply, as connection.py's `_farewell` chooses it.
        if withheld and not self.removed:
            self.reply = "-ERR [SYS/TEMP]"
        else:
            self.reply = "-ERR some remain" if withheld else "+OK"
        self.world.check_reply(self)
        return True

    async def _remove_marked(self) -> int:
        """Do what removal.py does: look whether the lease holds before each message, then remove it."""
        network = self.world.network
        withheld = 0
        for message in self.marked:
            await asyncio.sleep(self._disk_pause())
            if not self.process.still_holds(self):
                withheld += 1
                continue
            # Looking and unlinking is one step that may take all of the margin. A pause that is
            # longer than the margin in the midst of it is the gap that the margin leaves.
            is_fast = self.process.random.random() < 0.6
            seconds = network.between(0, 0.002 if is_fast else LONGEST_UNLINK_SECONDS)
            done = self.world.loop.create_future()
            self.world.loop.call_later(
                seconds, self._unlink, message, done, context=self.world.network.owner.context
            )
            await done
        return withheld

    def _disk_pause(self) -> float:
        """Return how long the disk thread waits for the disk: sometimes to about the end of the lease."""
        process, network = self.process, self.world.network
        if process.random.random() < 0.6:
            return network.between(0, 0.01)
        lease = process.instance._lease.ends_at - process.clock()
        return max(lease - network.between(0, 2 * LONGEST_UNLINK_SECONDS), network.between(0, 4))

    def _unlink(self, message: str, done: "asyncio.Future[None]") -> None:
        self.world.remove(self, message)
        self.removed.append(message)
        done.set_result(None)

    def _give_back_maildrop(self) -> None:
        if self.state == OPENED:
            self.state = "closed"
            self.process.instance.release_maildrop(self.username, self.session_id)

    def _close(self) -> None:
        if not self._has_slot:
            return
        self._has_slot = False
        instance = self.process.instance
        instance.discharge(self.address)
        instance.session_closed(self.session_id)
        self._give_back_maildrop()
        if self in self.process.sessions:
            self.process.sessions.remove(self)

    async def _think(self, most: float) -> None:
        await asyncio.sleep(self.world.network.between(0, most))
