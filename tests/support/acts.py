"""Every act that changes something in the store, and the one entry that it has to leave in the audit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from state_store.administrators import Role
from state_store.audit import Actor, Door, Wanted
from state_store.records import Credential, Exchange, Naming, SessionRow
from state_store.refusals import NewRefusal, RefusalKind, refusal_id
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.allowances import use_up
from support.peep_gateway_server import instance

ROOT = Actor("root", Door.HTTP, "192.0.2.7", "deploy")
CREDENTIAL = Credential("$argon2id$one", "v1")
OTHER = Credential("$argon2id$two", "v2")

Step = Callable[[StateRepository], Awaitable[object]]


async def nothing(_: StateRepository) -> None:
    """Prepare nothing."""


async def with_alice(store: StateRepository) -> None:
    await store.add_user("alice", CREDENTIAL, by=None)


async def with_alice_suspended(store: StateRepository) -> None:
    await with_alice(store)
    await store.refuse([NewRefusal(RefusalKind.SUSPEND, "alice", "gone")], by=OPERATOR)


async def lift_it(store: StateRepository) -> None:
    await store.lift_refusal(refusal_id(RefusalKind.SUSPEND, "alice"), by=ROOT)


async def with_a_session(store: StateRepository) -> None:
    await store.register_instance(instance())
    row = SessionRow("s1", "pop3", "alice", "192.0.2.9", 1000.5)
    await store.exchange(Exchange("pop3", 1, session_rows=[row]))


async def close_the_session(store: StateRepository) -> None:
    closing = asyncio.create_task(store.close_session("s1", by=ROOT))
    while "session.close" not in await actions(store):
        await asyncio.sleep(0.01)
    await store.exchange(Exchange("pop3", 2, closed_sessions=["s1"]))
    await closing


async def with_a_slow_down(store: StateRepository) -> None:
    await use_up(store, "user alice", "192.0.2.9")


async def lift_the_slow_down(store: StateRepository) -> None:
    (slow_down,) = await store.slow_downs()
    await store.lift_slow_down(slow_down.slow_down_id, by=ROOT)


async def with_a_directory(store: StateRepository) -> None:
    await store.announce_mail_directory("/srv/old", overrides=True, by=OPERATOR)


async def with_root(store: StateRepository) -> None:
    await store.replace_administrators({"root": "hash"}, "front", by=OPERATOR)


async def with_ann(store: StateRepository) -> None:
    await store.add_administrator("ann", Role.READ, "hash", by=OPERATOR)


async def with_token(store: StateRepository) -> None:
    await store.make_api_token("deploy", "digest", Role.ALL, by=OPERATOR)


async def with_kept(store: StateRepository) -> None:
    await store.keep_audit(1000, 30, by=OPERATOR)


async def missed(store: StateRepository) -> None:
    await store._client.script("attend", "lost", "other")


@dataclass(frozen=True)
class Case:
    """An act, and the one entry that it has to leave."""

    action: str
    object: str
    act: Step
    before: Step = nothing
    old: str = ""
    new: str = ""


CASES = [
    Case(
        "settings.change",
        "max_connections",
        lambda store: store.change_settings(by=ROOT, max_connections=15),
        old="1000",
        new="15",
    ),
    Case(
        "settings.change",
        "mail_directory",
        lambda store: store.announce_mail_directory("/srv/new", overrides=True, by=ROOT),
        with_a_directory,
        "/srv/old",
        "/srv/new",
    ),
    Case(
        "settings.change",
        "move_source",
        lambda store: store.announce_source("old.example.org:995", by=ROOT),
        new="old.example.org:995",
    ),
    Case(
        "settings.change",
        "audit_days",
        lambda store: store.keep_audit(1000, 7, by=ROOT),
        with_kept,
        "30",
        "7",
    ),
    Case("user.add", "alice", lambda store: store.add_user("alice", CREDENTIAL, by=ROOT)),
    Case(
        "user.add",
        "alice bob",
        lambda store: store.add_users([("alice", CREDENTIAL), ("bob", OTHER)], by=ROOT),
    ),
    Case(
        "password.set",
        "alice",
        lambda store: store.add_users([("alice", OTHER)], by=ROOT, update=True),
        with_alice,
    ),
    Case("password.set", "alice", lambda store: store.set_credential("alice", OTHER, by=ROOT), with_alice),
    Case("user.remove", "alice", lambda store: store.remove_user("alice", by=ROOT), with_alice),
    Case("session.close", "s1 alice", close_the_session, with_a_session, old="192.0.2.9"),
    Case("slowdown.lift", "network 192.0.2.9", lift_the_slow_down, with_a_slow_down),
    Case(
        "administrator.add",
        "eve",
        lambda store: store.replace_administrators({"eve": "hash"}, naming=Naming.FIRST, by=ROOT),
    ),
    Case(
        "administrator.password",
        "root",
        lambda store: store.replace_administrators({"root": "other"}, "front", by=ROOT),
        with_root,
    ),
    Case(
        "administrator.remove",
        "root",
        lambda store: store.replace_administrators({}, "front", by=ROOT),
        with_root,
    ),
    Case(
        "administrator.add",
        "eve",
        lambda store: store.add_administrator("eve", Role.READ, "hash", by=ROOT),
        new="read",
    ),
    Case(
        "administrator.password",
        "ann",
        lambda store: store.set_administrator_password("ann", "other", by=ROOT),
        with_ann,
    ),
    Case(
        "administrator.role",
        "ann",
        lambda store: store.set_administrator_role("ann", Role.HELPDESK, by=ROOT),
        with_ann,
        "read",
        "helpdesk",
    ),
    Case(
        "administrator.remove",
        "ann",
        lambda store: store.remove_administrator("ann", by=ROOT),
        with_ann,
        "read",
    ),
    Case(
        "token.make",
        "deploy",
        lambda store: store.make_api_token(
            "deploy", "digest", Role.ALL, networks=["::1"], ends_at=4e9, by=ROOT
        ),
        new="all from ::1 (until 2096-10-02T07:06:40+00:00)",
    ),
    Case(
        "token.revoke", "deploy", lambda store: store.revoke_api_token("deploy", by=ROOT), with_token, "all"
    ),
    Case("administrator.sign-in", "", lambda store: store.note_sign_in(by=ROOT)),
    Case("administrator.sign-out", "", lambda store: store.end_sign_in("id", 60, by=ROOT)),
    Case("administrator.refuse", "", lambda store: store.note_refused_sign_in(by=ROOT), new="1"),
    Case(
        "user.suspend",
        "alice",
        lambda store: store.refuse([NewRefusal(RefusalKind.SUSPEND, "alice", "gone")], by=ROOT),
        with_alice,
        new="gone",
    ),
    Case(
        "network.ban",
        "192.0.2.0/24",
        lambda store: store.refuse([NewRefusal(RefusalKind.BAN, "192.0.2.0/24", "", 4e9)], by=ROOT),
        new="(until 2096-10-02T07:06:40+00:00)",
    ),
    Case(
        "network.exempt",
        "192.0.2.9",
        lambda store: store.refuse([NewRefusal(RefusalKind.EXEMPT, "192.0.2.9", "the office")], by=ROOT),
        new="the office",
    ),
    Case("refusal.lift", "suspend alice", lift_it, with_alice_suspended, "gone"),
    Case(
        "refusal.lift",
        "suspend alice",
        lambda store: store.lift_suspension("alice", by=ROOT),
        with_alice_suspended,
        "gone",
    ),
    Case(
        "unique-ids.import",
        "alice",
        lambda store: store.note_elsewhere("unique-ids.import", "alice", "", "dovecot", by=ROOT),
        new="dovecot",
    ),
    Case("store.accept", "lost", lambda store: store.accept(by=ROOT), missed),
]


async def actions(store: StateRepository, wanted: Wanted | None = None) -> list[str]:
    """Return the actions in the audit, the oldest first."""
    return [act.action async for act in store.all_acts(wanted or Wanted())]
