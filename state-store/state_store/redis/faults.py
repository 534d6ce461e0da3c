"""What Redis and the way to it can be short of, in words for the operator: what is wrong, what to do.

None of them quotes a password. None but an old server is for ever, so all the others are
`StoreUnavailable`: memory is added, a disk is emptied, and a password that is wrong today may be the
new one that the server is told of in a moment, for secrets are rotated on both sides, one after the other.
"""

from state_store.errors import StateError, StoreUnavailable, StoreUnusable

ANSWER_SECONDS = 0.8
"""How long Redis may take to answer, a reconnection included: an outage shows in under a second."""

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
"""What to say for the code that an error answer begins with."""


class RedisError(Exception):
    """What a server sent is an error answer, or breaks the protocol."""


class ErrorAnswer(RedisError):
    """An error answer: the server is there, and has refused one command."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.code = line.partition(" ")[0]


class UnknownScript(ErrorAnswer):
    """The server does not have a script under this digest (NOSCRIPT)."""


def error_answer(line: str) -> ErrorAnswer:
    """Return an error answer as an exception."""
    return (UnknownScript if line.startswith("NOSCRIPT ") else ErrorAnswer)(line)


def code_of(error: Exception) -> str | None:
    """Return the code of an error answer, as `OOM`; None where the server did not answer at all."""
    return error.code if isinstance(error, ErrorAnswer) else None


def describe(error: Exception) -> str:
    """Return what is wrong and what to do, in one line."""
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS} s"
    code = code_of(error)
    if code in ADVICE:
        return ADVICE[code]
    text = " ".join(str(error).split()).removeprefix("ERR ")
    if code == NO_PERMISSION or "ACL failure in script" in text:
        missing = text.removeprefix(f"{NO_PERMISSION} ")
        return f"the ACL user of PEEP_REDIS_URL lacks a permission (NOPERM): {missing}"
    return text


def translate(error: Exception) -> StateError:
    """Return the error of ours that a failure of Redis, or of the way to it, is."""
    if isinstance(error, StateError):
        return error
    text = str(error)
    if "unknown command" in text and "HELLO" in text:
        return StoreUnusable("this Redis is too old: 7.0 or Valkey 7.2 is needed")
    return StoreUnavailable(describe(error))
