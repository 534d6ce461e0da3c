"""What differs between a user's maildrop at an old server and at a new one."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pop3_client import ListedMessage

SHOWN_DIFFERENCES = 3
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two maildrops compare. A message is the same if its unique-id and its octets are."""

    old_messages: int
    new_messages: int
    same: int
    is_in_order: bool
    differences: tuple[str, ...]
    """The first ones of each kind, in words."""

    @property
    def is_equal(self) -> bool:
        """Return whether a client would see no difference."""
        return not self.differences


def compare(old: Sequence[ListedMessage], new: Sequence[ListedMessage]) -> Comparison:
    """Return how the messages of the old server and those of the new one compare."""
    old_octets, new_octets = dict(map(_facts, old)), dict(map(_facts, new))
    same = (Counter(map(_facts, old)) & Counter(map(_facts, new))).total()
    shared_in_old = [one.unique_id for one in old if one.unique_id in new_octets]
    shared_in_new = [one.unique_id for one in new if one.unique_id in old_octets]
    is_in_order = shared_in_old == shared_in_new
    if is_in_order and same == len(old) == len(new):
        return Comparison(len(old), len(new), same, is_in_order, ())
    differences = [
        *_first(_duplicates("old", old)),
        *_first(_duplicates("new", new)),
        *_first(f"{_name(one)} is not on the new server" for one in old if one.unique_id not in new_octets),
        *_first(f"{_name(one)} is only on the new server" for one in new if one.unique_id not in old_octets),
        *_first(_other_octets(old, new_octets)),
    ]
    if not is_in_order:
        differences += _first(_out_of_order(shared_in_old, shared_in_new))
    return Comparison(len(old), len(new), same, is_in_order, tuple(differences))


def _name(message: ListedMessage) -> str:
    return f"message {message.number:,} ({_text(message.unique_id)})"


def _text(unique_id: bytes) -> str:
    return unique_id.decode("utf-8", "backslashreplace") or "without a unique-id"


def _facts(message: ListedMessage) -> tuple[bytes, int]:
    return message.unique_id, message.octets


def _other_octets(old: Sequence[ListedMessage], new_octets: Mapping[bytes, int]) -> Iterator[str]:
    for one in old:
        octets = new_octets.get(one.unique_id, one.octets)
        if octets != one.octets:
            yield f"{_name(one)} has {one.octets:,} octets on the old server and {octets:,} on the new"


def _duplicates(server: str, messages: Sequence[ListedMessage]) -> Iterator[str]:
    counts = Counter(one.unique_id for one in messages)
    for unique_id, count in counts.items():
        if count > 1:
            yield f"{count:,} messages on the {server} server have the unique-id {_text(unique_id)}"


def _out_of_order(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[str]:
    for place, (one, other) in enumerate(zip(old, new, strict=False), 1):
        if one != other:
            yield (
                f"the order differs from the {place:,}. shared message on: "
                f"{_text(one)} on the old server, {_text(other)} on the new"
            )
            return


def _first(differences: Iterator[str]) -> list[str]:
    shown = list(islice(differences, SHOWN_DIFFERENCES))
    more = sum(1 for _ in differences)
    return [*shown, f"and {more:,} more like this"] if more else shown
