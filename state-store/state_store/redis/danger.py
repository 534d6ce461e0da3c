"""What is dangerous about a Redis that answers and takes all that we write."""

SAFE_POLICY = "noeviction"


def eviction_warnings(about_memory: str) -> list[str]:
    """Return a line when this `INFO memory` says that keys may be thrown away to make room for others.

    Peep's keys have no expiry, so a policy for those that have one (`volatile-...`) throws away the few of
    ours that do: delays and the memory of wrong passwords.
    """
    fields = dict(line.strip().partition(":")[::2] for line in about_memory.splitlines())
    policy = fields.get("maxmemory_policy", SAFE_POLICY)
    if policy == SAFE_POLICY or fields.get("maxmemory", "0") == "0":
        return []
    is_set = f"maxmemory is set and maxmemory-policy is {policy}"
    return [f"REDIS MAY THROW AWAY USERS AND LOCKS: {is_set}; set it to {SAFE_POLICY}"]
