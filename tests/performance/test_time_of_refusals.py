"""A refused login takes as long for a user with another server's hash as for a name that nobody has."""

import statistics
import time
from collections.abc import Mapping

import pytest

from state_store.credentials.hashes.imported import imported_hash
from state_store.credentials.passwords import Passwords
from state_store.records import Credential
from support.foreign_hashes import foreign_hashes

ROUNDS, MOST_ROUNDS = 24, 96
"""The more there are, the closer is the median to what the work takes: a restless machine needs many."""

LIMIT = 0.1
"""Of what a refusal takes; 0.01 is usual. Without equal work these hashes would show with a half and more."""

COSTLY = {
    "SSHA": "-s SSHA ",
    "SHA512-CRYPT": "-R 70000",
    "BLF-CRYPT": "-r 10",
    "YESCRYPT": "yescrypt",
    "ARGON2ID": "-s ARGON2ID",
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", COSTLY)
async def test_another_servers_hash_does_not_show_in_the_time_of_a_refusal(scheme: str) -> None:
    passwords = Passwords()
    (text,) = (one.text for one in foreign_hashes() if one.scheme == scheme and COSTLY[scheme] in one.made_by)
    imported = imported_hash(text)
    users = {
        "nobody": None,
        "our own": await passwords.new_credential("secret"),
        scheme: await passwords.imported_credential(imported),
    }
    taken: dict[str, list[float]] = {name: [] for name in users}
    while (rounds := len(taken["nobody"])) < ROUNDS or (difference(taken) >= LIMIT and rounds < MOST_ROUNDS):
        for _ in range(ROUNDS):
            for name, credential in users.items():
                taken[name].append(await refusal_seconds(passwords, name, credential, imported.kind))
    passwords.close()
    print(f"{rounds} rounds: {difference(taken):.3f}")
    assert difference(taken) < LIMIT


def difference(taken: Mapping[str, list[float]]) -> float:
    """Return by how much of a refusal's time the users differ, at most."""
    # A machine's pace changes from second to second: each is held against what came just before or after it.
    ratios = [
        statistics.median(ours / theirs for ours, theirs in zip(seconds, taken["nobody"], strict=True))
        for seconds in taken.values()
    ]
    return max(ratios) - min(ratios)


async def refusal_seconds(passwords: Passwords, name: str, credential: Credential | None, kind: str) -> float:
    """Return how much processor time the refusal of a wrong password takes."""
    started = time.process_time()
    assert not await passwords.is_right(name, credential, "wrong", kinds=[kind])
    return time.process_time() - started
