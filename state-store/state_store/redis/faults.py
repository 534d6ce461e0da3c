"""Turns Redis errors into one line that tells the operator what is wrong and what to do.

No line quotes a password. All errors but that of an old server are `StoreUnavailable`, because they can be
mended while services wait: memory is added, a disk is emptied, and a password that is refused may be the new
one that the server does not know yet, as secrets are rotated on both sides one after the other.
"""

from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from state_store.errors import StateError, StoreUnavailable, StoreUnusable

ANSWER_SECONDS = 0.8
"""How long Redis may take to answer, a reconnection included: clients notice an outage in under a second."""

NO_PERMISSION = "NOPERM"
NO_REPLICAS = "NOREPLICAS"

ADVICE = {
    "OOM": "Redis is out of memory (OOM) and takes no writes: raise its maxmemory or free memory",
    "READONLY": "this Redis is a replica (READONLY) and takes no writes: PEEP_REDIS_URL must name the master",
    "WRONGPASS": "Redis refuses the user name or password (WRONGPASS) that PEEP_REDIS_URL gives",
    "NOAUTH": "Redis wants a password (NOAUTH): PEEP_REDIS_URL must give one",
    "LOADING": "Redis is still reading its files (LOADING): it will serve when it has read them",
    "MISCONF": "Redis cannot save to its disk (MISCONF) and takes no writes: free space there, see its log",
    "CLUSTERDOWN": "no node of the Cluster serves our keys (CLUSTERDOWN): see its CLUSTER SHARDS",
    "MASTERDOWN": "this replica has lost its master (MASTERDOWN) and serves nothing: see INFO replication",
    NO_REPLICAS: "Redis has too few replicas (NOREPLICAS) and takes no writes: see min-replicas-to-write",
    "ASK": "our keys are on their way to another node of the Cluster (ASK): we go on when all are there",
    "TRYAGAIN": "our keys are on their way to another node (TRYAGAIN): we go on when all are there",
    "MOVED": "this Redis is a node of a Cluster (MOVED): PEEP_REDIS_URL must begin with redis+cluster://",
}
"""The line for each code that an error answer begins with."""


def code_of(error: Exception) -> str | None:
    """Return the code of an error answer, such as `OOM`, or None if the server did not answer at all."""
    if isinstance(error, RedisError) and error.status_code:
        return error.status_code
    word = str(error).partition(" ")[0]
    return word if word in ADVICE or word == NO_PERMISSION else None


def describe(error: Exception) -> str:
    """Return what is wrong and what to do, in one line."""
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return f"no answer within {ANSWER_SECONDS} s"
    code = code_of(error)
    if code in ADVICE:
        return ADVICE[code]
    text = " ".join(str(error).split())
    if code == NO_PERMISSION or "ACL failure in script" in text:
        return f"the ACL user of PEEP_REDIS_URL lacks a permission (NOPERM): {text}"
    if isinstance(error, AuthenticationError):
        return ADVICE["WRONGPASS"]
    return text


def translate(error: Exception) -> StateError:
    """Return our error for a failure of Redis or of the connection to it."""
    if isinstance(error, StateError):
        return error
    text = str(error)
    if "unknown command" in text and "HELLO" in text:
        return StoreUnusable("this Redis is too old: 7.0 or Valkey 7.2 is needed")
    return StoreUnavailable(describe(error))
