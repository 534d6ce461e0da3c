"""How the Redis itself is, as its `INFO` says (D99)."""

from dataclasses import dataclass
from typing import Self

from state_store.redis.server_info import info_fields

SAFE_POLICY = "noeviction"


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The server that takes our writes, at one moment."""

    round_trip: float
    """How many seconds it took to answer a command that does nothing."""
    clock_ahead: float
    """By how many seconds its clock is ahead of ours; below 0 when it is behind."""
    is_told: bool = False
    """Whether it let us have its `INFO`; all that follows is unknown otherwise."""
    server: str = ""
    """Its name and version."""
    role: str = ""
    memory: int = 0
    """Octets in use."""
    max_memory: int = 0
    """Octets; 0 without a limit of its own."""
    machine_memory: int = 0
    eviction_policy: str = ""
    keeps_log: bool = False
    """Whether it has an append-only file."""
    log_fault: str = ""
    """Which write of that file failed the last time; empty when none did."""
    replicas: int = 0
    """Connected and in step."""
    replicas_behind: int = 0
    """Connected, and still loading or out of step."""

    @property
    def may_evict(self) -> bool:
        """Whether it throws keys away once it is full, users and locks among them."""
        return bool(self.max_memory) and self.eviction_policy != SAFE_POLICY

    @property
    def warnings(self) -> list[str]:
        """What is dangerous about how it is set up, a line each.

        Most of Peep's keys have no expiry; a `volatile-...` policy evicts the few that have one: login delays
        and the counts of wrong passwords.
        """
        if not self.may_evict:
            return []
        is_set = f"maxmemory is set and maxmemory-policy is {self.eviction_policy}"
        return [f"REDIS MAY THROW AWAY USERS AND LOCKS: {is_set}; set it to {SAFE_POLICY}"]

    @classmethod
    def of(cls, round_trip: float, clock_ahead: float, about: str) -> Self:
        """Return the status that an answer to `INFO` describes, or to one section of it."""
        fields = info_fields(about)
        name = fields.get("server_name", "redis")
        replicas = [value for key, value in fields.items() if key.startswith("slave") and key[5:].isdecimal()]
        in_step = sum("state=online" in replica for replica in replicas)
        faults = {
            "writing": fields.get("aof_last_write_status", "ok"),
            "rewriting": fields.get("aof_last_bgrewrite_status", "ok"),
        }
        return cls(
            round_trip,
            clock_ahead,
            is_told=True,
            server=f"{name.capitalize()} {fields.get(f'{name}_version', fields.get('redis_version', '?'))}",
            role=fields.get("role", "?"),
            memory=int(fields.get("used_memory", 0)),
            max_memory=int(fields.get("maxmemory", 0)),
            machine_memory=int(fields.get("total_system_memory", 0)),
            eviction_policy=fields.get("maxmemory_policy", SAFE_POLICY),
            keeps_log=fields.get("aof_enabled") == "1",
            log_fault=next((what for what, status in faults.items() if status != "ok"), ""),
            replicas=in_step,
            replicas_behind=len(replicas) - in_step,
        )
