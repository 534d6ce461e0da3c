"""Admission of connections: slots of the limit `c=` (P8), and places among those of one client address."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from state_store.credentials.networks import network_of
from state_store.errors import StoreUnavailable
from state_store.records import AddressCount, AdmissionOutcome, ExchangeResult

WAIT_SECONDS = 0.5
"""How long a connection waits for slots that other instances have been asked to give back."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """One connection that waits for admission."""

    due: float
    address: str
    answer: "asyncio.Future[AdmissionOutcome]"


class Addresses:
    """Counts the connections that this instance has open from each client address, and may have.

    A place is taken only after the store has granted it, so the store's count is never less than what is
    open. A place that comes free is reported with the next exchange.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """0: no limit; nothing is counted then."""
        self._open: dict[str, int] = {}
        self._allowed: dict[str, int] = {}
        self._asked: list[str] = []
        self._unreported: dict[str, None] = {}

    @property
    def has_unreported(self) -> bool:
        """Whether the store may count more connections of some address than are open."""
        return bool(self._unreported)

    def is_full(self, address: str) -> bool:
        """Return whether this instance alone has all connections that the address may have."""
        return 0 < self.limit <= self._open.get(address, 0)

    def has_place(self, address: str) -> bool:
        """Return whether one more from this address may be admitted without an exchange."""
        return not self.limit or self._open.get(address, 0) < self._allowed.get(address, 0)

    def enter(self, address: str) -> None:
        """Take a place."""
        if not self.limit:
            return
        self._open[address] = self._open.get(address, 0) + 1
        if not self.has_place(address):
            self._unreported.pop(address, None)

    def leave(self, address: str) -> None:
        """Give up a place."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]
        self._unreported[address] = None

    def ask(self, waiting: Iterable[str]) -> list[AddressCount]:
        """Begin an exchange: return the counts to report, with the addresses of waiting connections."""
        if not self.limit:
            return []
        count = Counter(waiting)
        self._asked = list(self._unreported | count)
        self._unreported.clear()
        return [AddressCount(one, self._open.get(one, 0), count[one]) for one in self._asked]

    def answered(self, allowed: list[int]) -> None:
        """Take the store's answer: one figure for each address of the last exchange."""
        for address, places in zip(self._asked, allowed, strict=True):
            if places:
                self._allowed[address] = places
            else:
                self._allowed.pop(address, None)
            if self.has_place(address):
                self._unreported[address] = None  # until it is taken

    def failed(self) -> None:
        """Take note that no answer came: what the store counts is unknown until it is reported again."""
        self._unreported.update(dict.fromkeys(self._asked))

    def lapsed(self) -> None:
        """Report everything again: the store has forgotten this instance."""
        self._allowed.clear()
        self._asked = []
        self._unreported = dict.fromkeys(self._open)


class Admission:
    """Counts open connections against reserved slots, and queues the connections that wait for one.

    `address_limit` is how many connections of one client network (`networks.network_of`) may be open, 0 for
    any number.
    """

    def __init__(self, address_limit: int = 0) -> None:
        self.open_connections = 0
        self.max_connections = 0
        self._reserved = 0
        self._claim_only_open = True
        self._limit_is_old = False
        self._asked = 0
        self.waits_for_others = False
        """Whether connections wait for slots that other instances have been asked to give back."""
        self._waiting: deque[_Wait] = deque()
        self._addresses = Addresses(address_limit)

    @property
    def waiting_connections(self) -> int:
        """How many connections wait for a slot."""
        return len(self._waiting)

    @property
    def must_ask(self) -> bool:
        """Whether the next exchange should begin at once: connections wait, or spare slots go back."""
        return bool(self._waiting) or (self._claim_only_open and self._reserved > self.open_connections)

    @property
    def must_report(self) -> bool:
        """Whether the store may count connections of an address that are gone."""
        return self._addresses.has_unreported

    def admit_at_once(self) -> bool:
        """Take a slot if one is held, without an exchange; never where addresses are limited.

        Connections get slots strictly in order of arrival: none is taken while others wait.
        """
        if self._addresses.limit or self._waiting or self._claim_only_open:
            return False
        if self.open_connections >= min(self._reserved, self.max_connections):
            return False
        self.open_connections += 1
        return True

    def wait_for_slot(self, address: str) -> "asyncio.Future[AdmissionOutcome]":
        """Return a future: ADMITTED once a slot has been taken, or which limit is reached.

        It is done already where this instance alone has all connections that the address may have.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AdmissionOutcome] = loop.create_future()
        network = network_of(address)
        if self._addresses.is_full(network):
            answer.set_result(AdmissionOutcome.ADDRESS_LIMIT_REACHED)
        else:
            self._waiting.append(_Wait(loop.time() + WAIT_SECONDS, network, answer))
        return answer

    def discharge(self, address: str) -> None:
        """Give up one connection's slot, and its place among those of its address."""
        self.open_connections -= 1
        if self._addresses.limit:
            self._addresses.leave(network_of(address))

    def shrink(self) -> None:
        """Give spare slots back: other instances need them."""
        self._claim_only_open = True

    def limit_changed(self) -> None:
        """Give spare slots back, and fill none that an exchange under way brings: its limit may be old."""
        self._claim_only_open = True
        self._limit_is_old = True

    def ask(self) -> int:
        """Begin an exchange: return how many slots may be filled while it is under way."""
        self._asked = len(self._waiting)
        self._limit_is_old = False
        if self._claim_only_open:
            # From now on the spare slots may be another instance's, even when no answer comes.
            self._reserved = self.open_connections
            self._claim_only_open = False
        return max(self._reserved, self.open_connections)

    def address_counts(self) -> list[AddressCount]:
        """Return the counts of addresses that wait or have changed; after `ask`, for the same exchange."""
        return self._addresses.ask(wait.address for wait in self._waiting if not wait.answer.done())

    def answered(self, result: ExchangeResult, now: float) -> None:
        """Take the store's answer: admit or refuse waiting connections, in order of arrival."""
        self._reserved = result.reserved_connections
        # A call of `shrink` during this exchange holds for the next one. It keeps nobody waiting: if two
        # instances gave back what they were granted whenever the other one asked, neither would ever answer.
        self._claim_only_open = self._claim_only_open or result.should_shrink
        self.max_connections = result.max_connections
        self._addresses.answered(result.addresses)
        if result.should_shrink or self._limit_is_old:
            self.waits_for_others = False
            return  # what is held may be over the limit: the next exchange answers those that wait
        still_waiting: deque[_Wait] = deque()
        for place, wait in enumerate(self._waiting):
            if wait.answer.done():
                continue
            is_patient = place >= self._asked or (result.spare_elsewhere and now < wait.due)
            outcome = self._outcome(wait.address, was_asked=place < self._asked, is_patient=is_patient)
            if outcome is None:
                still_waiting.append(wait)
            else:
                wait.answer.set_result(outcome)
        self._waiting = still_waiting
        self.waits_for_others = bool(self._waiting) and result.spare_elsewhere

    def _outcome(self, address: str, *, was_asked: bool, is_patient: bool) -> AdmissionOutcome | None:
        """Admit a waiting connection, or return why not; None: it goes on waiting."""
        if not self._addresses.has_place(address):
            return AdmissionOutcome.ADDRESS_LIMIT_REACHED if was_asked else None
        if self.open_connections >= self._reserved:
            return None if is_patient else AdmissionOutcome.LIMIT_REACHED
        self.open_connections += 1
        self._addresses.enter(address)
        return AdmissionOutcome.ADMITTED

    def failed(self) -> None:
        """Take note that the store did not answer: connections that wait are refused."""
        self.waits_for_others = False
        self._asked = 0
        waiting, self._waiting = self._waiting, deque()
        self._addresses.failed()
        for wait in waiting:
            if not wait.answer.done():
                wait.answer.set_exception(StoreUnavailable("no slot can be granted"))

    def lapsed(self) -> None:
        """Forget all slots: the lease that they were held under is over."""
        self._reserved = 0
        self._claim_only_open = True
        self._addresses.lapsed()
