"""Dangerous settings of a Redis that otherwise works."""

SAFE_POLICY = "noeviction"


def eviction_warnings(about_memory: str) -> list[str]:
    """Return a line when this answer to `INFO memory` says that keys may be evicted.

    Most of Peep's keys have no expiry; a `volatile-...` policy evicts the few that have one: login delays and
    the counts of wrong passwords.
    """
    fields = dict(line.strip().partition(":")[::2] for line in about_memory.splitlines())
    policy = fields.get("maxmemory_policy", SAFE_POLICY)
    if policy == SAFE_POLICY or fields.get("maxmemory", "0") == "0":
        return []
    is_set = f"maxmemory is set and maxmemory-policy is {policy}"
    return [f"REDIS MAY THROW AWAY USERS AND LOCKS: {is_set}; set it to {SAFE_POLICY}"]
