"""Who may come in: the slots that this instance holds of the limit `c=` (P8)."""

import asyncio
from collections import deque

from state_store.errors import StoreUnavailable
from state_store.records import ExchangeResult

WAIT_SECONDS = 0.5
"""How long a connection waits for slots that other instances have been asked to give back."""


class Admission:
    """Counts open connections against reserved slots, and keeps the queue of those who wait for one."""

    def __init__(self) -> None:
        self.open_connections = 0
        self.max_connections = 0
        self._reserved = 0
        self._claim_only_open = True
        self._asked = 0
        self.waits_for_others = False
        """Somebody waits for slots that other instances have been asked to give back."""
        self._waiting: deque[tuple[float, asyncio.Future[bool]]] = deque()

    @property
    def waiting_connections(self) -> int:
        """How many connections wait for a slot."""
        return len(self._waiting)

    @property
    def must_ask(self) -> bool:
        """Whether the next exchange should not be put off: somebody waits, or we hold too much."""
        return bool(self._waiting) or (self._claim_only_open and self._reserved > self.open_connections)

    def admit_at_once(self) -> bool:
        """Take a slot if one is held, without asking anybody."""
        if self._claim_only_open or self.open_connections >= min(self._reserved, self.max_connections):
            return False
        self.open_connections += 1
        return True

    def wait_for_slot(self) -> "asyncio.Future[bool]":
        """Return a future that is True once a slot is taken, False when the limit is reached."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((loop.time() + WAIT_SECONDS, answer))
        return answer

    def discharge(self) -> None:
        """Give up one connection's slot."""
        self.open_connections -= 1

    def shrink(self) -> None:
        """Keep no spare slots: others need them, or the limit has changed."""
        self._claim_only_open = True

    def ask(self) -> int:
        """Begin an exchange: return the slots that may be filled while it is under way."""
        self._asked = len(self._waiting)
        if self._claim_only_open:
            # From now on the spare slots may be somebody else's, even when no answer comes.
            self._reserved = self.open_connections
            self._claim_only_open = False
        return max(self._reserved, self.open_connections)

    def answered(self, result: ExchangeResult, now: float) -> None:
        """Take the store's answer: let in who now has a slot, and refuse who cannot have one."""
        self._reserved = result.reserved_connections
        # A wish to shrink that came during this exchange holds for the next one.
        self._claim_only_open = self._claim_only_open or result.should_shrink
        self.max_connections = result.max_connections
        if self._claim_only_open:
            self.waits_for_others = False
            return  # what is held may be over the limit: who waits is answered by the next exchange
        while self._waiting and self.open_connections < self._reserved:
            self._asked -= 1
            answer = self._waiting.popleft()[1]
            if not answer.done():
                self.open_connections += 1
                answer.set_result(True)
        for _ in range(max(self._asked, 0)):
            due, answer = self._waiting[0]
            if result.spare_elsewhere and now < due:
                break
            self._waiting.popleft()
            if not answer.done():
                answer.set_result(False)
        self.waits_for_others = bool(self._waiting) and result.spare_elsewhere

    def failed(self) -> None:
        """Take note that the store did not answer: nobody who waits can be let in."""
        self.waits_for_others = False
        self._asked = 0
        waiting, self._waiting = self._waiting, deque()
        for _, answer in waiting:
            if not answer.done():
                answer.set_exception(StoreUnavailable("no slot can be had"))

    def lapsed(self) -> None:
        """Forget all slots: the lease that they hung on is over."""
        self._reserved = 0
        self._claim_only_open = True
