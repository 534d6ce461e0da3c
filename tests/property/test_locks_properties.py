"""What an exchange does to locks at one stroke is what its requests do one after the other, in order."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from state_store.records import Credential, Exchange, Instance, Login
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.repository.answers import pairs
from support.actors import OPERATOR
from support.redis_server import RedisServer

INSTANCES = ("i1", "i2")
USERNAMES = ("alice", "bob", "carol")

Holder = tuple[str, str]
"""Instance and session."""


@dataclass(frozen=True)
class Turn:
    """An exchange of an instance, before which another one may die."""

    instance_id: str
    releases: list[tuple[str, str]]
    withdrawn: list[tuple[str, str]]
    logins: list[tuple[str, str, str]]
    """Username, session, maildir or empty."""
    is_last_of_other: bool


@dataclass
class Model:
    """The locks, changed by one request at a time."""

    maildrops: dict[str, tuple[Holder, str]] = field(default_factory=dict)
    maildirs: dict[str, Holder] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def release(self, username: str, holder: Holder) -> None:
        its_holder, maildir = self.maildrops.get(username, (None, ""))
        if its_holder != holder:
            return
        del self.maildrops[username]
        self.told.append(("logout", username, holder[1]))
        if self.maildirs.get(maildir) == holder:
            del self.maildirs[maildir]

    def log_in(self, username: str, holder: Holder, maildir: str) -> str:
        its_holder, its_maildir = self.maildrops.get(username, (None, ""))
        others = (its_holder, self.maildirs.get(maildir))
        if any(other and other != holder and other[0] not in self.dead for other in others):
            return "in use"
        if its_holder and its_holder != holder:
            self.release(username, its_holder)
        elif its_holder and self.maildirs.get(its_maildir) == holder:
            del self.maildirs[its_maildir]
        self.maildrops[username] = (holder, maildir)
        if maildir:
            self.maildirs[maildir] = holder
        if its_holder != holder:
            self.told.append(("login", username, holder[1]))
        return "opened"


usernames, sessions = st.sampled_from(USERNAMES), st.sampled_from(("s1", "s2", "s12"))
locks = st.lists(st.tuples(usernames, sessions), max_size=3)
turns = st.builds(
    Turn,
    st.sampled_from(INSTANCES),
    locks,
    locks,
    st.lists(st.tuples(usernames, sessions, st.sampled_from(("", "m", "n"))), max_size=4),
    st.sampled_from((False, False, False, True)),
)


@given(st.lists(turns, min_size=1, max_size=8))
def test_an_exchange_equals_its_requests_one_by_one(
    shared_redis_server: RedisServer, turns: list[Turn]
) -> None:
    async def play() -> None:
        repository, model = StateRepository(shared_redis_server.url), Model()
        for name in INSTANCES:
            await repository.register_instance(Instance(name, "host.example", 42, "1.2.3", 1000.0))
        for name in USERNAMES:
            await repository.add_user(name, Credential("no-hash", "1"), by=OPERATOR)
        try:
            for turn in turns:
                await exchange(repository, model, turn)
            activities, _ = await repository.activity_after("0-0")
        finally:
            await repository.close()
        told = [(one.kind.value, one.details["username"], one.details["session"]) for one in activities]
        assert told == model.told

    async def exchange(repository: StateRepository, model: Model, turn: Turn) -> None:
        if turn.is_last_of_other and not model.dead:
            model.dead = set(INSTANCES) - {turn.instance_id}
            await repository._client.command("ZADD", keys.LEASES, 1, *model.dead)
        if turn.instance_id in model.dead:
            return
        logins = [
            Login(username, session_id, "1", "::1", maildir=maildir)
            for username, session_id, maildir in turn.logins
        ]
        wanted = Exchange(
            turn.instance_id, 0, releases=turn.releases, withdrawn_logins=turn.withdrawn, logins=logins
        )
        for username, session_id in turn.releases + turn.withdrawn:
            model.release(username, (turn.instance_id, session_id))
        outcomes = [
            model.log_in(username, (turn.instance_id, session_id), maildir)
            for username, session_id, maildir in turn.logins
        ]
        result = await repository.exchange(wanted)
        assert [outcome.value for outcome in result.logins] == outcomes
        maildrops = await repository._client.command("HGETALL", keys.MAILDROPS)
        maildirs = await repository._client.command("HGETALL", keys.MAILDIRS)
        held = {name: f"{' '.join(holder)} {maildir}" for name, (holder, maildir) in model.maildrops.items()}
        assert pairs(maildrops) == held
        assert pairs(maildirs) == {maildir: " ".join(holder) for maildir, holder in model.maildirs.items()}

    shared_redis_server.flush()
    asyncio.run(play())
