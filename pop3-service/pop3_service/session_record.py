"""What counts of everything that a connection sends: `rb?` and `re?` (PEEP section 4, P14)."""

from collections import deque

from state_store.instance.live_instance import LiveInstance


class ReplyCount:
    """Counts octets and messages as the kernel takes them.

    Positions are octets from the connection's first one. What answers a command lies after the
    greeting, and before a last word that answers none.
    """

    __slots__ = ("_begin", "_counted", "_end", "_instance", "_message_ends", "octets", "retrieved")

    def __init__(self, instance: LiveInstance) -> None:
        self.octets = 0
        self.retrieved = 0
        self._instance = instance
        self._begin = self._counted = 0
        self._end: int | None = None
        self._message_ends: deque[int] | None = None

    def begin_at(self, position: int) -> None:
        """Count nothing before `position`."""
        self._begin = self._counted = position

    def end_at(self, position: int) -> None:
        """Count nothing from `position` on."""
        self._end = position

    def message_ends_at(self, position: int) -> None:
        """Count a retrieved message once everything before `position` has been taken."""
        if self._message_ends is None:  # most sessions look for new mail, and find none
            self._message_ends = deque()
        self._message_ends.append(position)

    def taken(self, position: int) -> None:
        """Note that the kernel has taken everything before `position`."""
        if self._end is not None and position > self._end:
            position = self._end
        if position <= self._counted:
            return
        deltas = self._instance.deltas
        if not deltas.retrieved_bytes:
            self._instance.counted()  # by whoever is first to add; what others add rides along
        deltas.retrieved_bytes += position - self._counted
        self.octets += position - self._counted
        self._counted = position
        ends = self._message_ends
        while ends and ends[0] <= position:
            ends.popleft()
            self.retrieved += 1
            deltas.retrieved_emails += 1
