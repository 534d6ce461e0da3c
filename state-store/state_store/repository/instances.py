"""The POP3 processes' side: leases, group commit, notifications."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from state_store.credentials.attempts import RefusalReason
from state_store.credentials.networks import network_of
from state_store.errors import LayoutDiffers, LeaseLapsed, StoreUnavailable
from state_store.records import Exchange, ExchangeResult, Instance, Login, LoginOutcome, Notification
from state_store.redis.channel import notifications
from state_store.repository.answers import AGREED, flat
from state_store.repository.deployment import DeploymentStore
from state_store.vitals import Vitals

_OVERTAKEN = 2
"""What `exchange.lua` begins its answer with when a later exchange came first."""


class InstanceRepository(DeploymentStore):
    """What an instance reports to the store and requests of it."""

    async def register_instance(self, instance: Instance) -> None:
        """Begin a lease of `records.LEASE_SECONDS` for a new instance id.

        Raises `LayoutDiffers` when a live instance has another layout of maildirs: two layouts may lead to
        one maildir for two users.
        """
        row = asdict(instance)
        del row["instance_id"]
        other = await self._client.script(
            "register_instance", instance.instance_id, instance.layout, *flat(row)
        )
        if other is not None:
            raise LayoutDiffers(str(other))

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        """Report and request everything at once, and renew the lease; with `reap`, clear up after the dead.

        Raises `LeaseLapsed` when the lease was over, or the store has lost an exchange that it had answered
        (a failover). Counts of a sequence number that the store has already taken are not taken again, lapsed
        or not. An exchange whose number is not higher than the last one's (it came late, or twice) changes
        nothing and raises `StoreUnavailable`.
        """
        if self._client.refusal is not None:
            await self.attend()
        answer = await self._client.script("exchange", *_exchange_arguments(exchange, reap=reap))
        if answer[0] == _OVERTAKEN:
            raise StoreUnavailable("overtaken by a later exchange")
        if answer[0]:
            raise LeaseLapsed(counts_taken=bool(answer[1]))
        _, _, reserved, should_shrink, limit, spare_elsewhere, version, outcomes, allowed = answer
        return ExchangeResult(
            reserved_connections=reserved,
            should_shrink=bool(should_shrink),
            max_connections=limit,
            spare_elsewhere=bool(spare_elsewhere),
            settings_version=version,
            logins=[LoginOutcome(outcome) for outcome in outcomes],
            addresses=allowed,
        )

    async def tell_refusal(self, login: Login, reason: RefusalReason) -> str:
        """Show a login that is refused though its password is right among the activities.

        Return, for operators, who holds the maildrop that it wants; empty when nobody does.
        """
        network = network_of(login.address)
        session_id, *row = await self._client.script(
            "tell_refusal", login.username, network, reason.value, login.maildir
        ) or [""]
        if not row:
            return f"held by session {session_id}" if session_id else ""
        username, address, connected_at, *_ = json.loads(row[0])
        since = datetime.fromtimestamp(connected_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        as_whom = f" as {username}" if username not in {None, login.username} else ""
        return f"held by {address}{as_whom} since {since} (session {session_id})"

    async def note_vitals(self, instance_id: str, vitals: Vitals) -> None:
        """Write down how a live instance is, and with it a sample of the history where one is due (D98)."""
        await self._client.script("note_vitals", instance_id, vitals.told_at, *flat(asdict(vitals)))

    async def end_instance(self, instance_id: str) -> None:
        """Give up the lease and everything that hangs on it."""
        await self._client.script("end_instance", instance_id)

    async def answer_proposal(self, proposal_id: str, instance_id: str, fault: str) -> None:
        """Answer why this instance cannot use a proposed mail directory; with an empty `fault` it can."""
        await self._client.script("answer_proposal", proposal_id, instance_id, fault or AGREED)

    def notifications(self) -> AsyncIterator[Notification]:
        """Yield notifications for ever, `RECONNECTED` first and after every `DISCONNECTED`."""
        return notifications(self._client)


def _exchange_arguments(exchange: Exchange, *, reap: bool) -> list[Any]:
    deltas = exchange.deltas
    arguments: list[Any] = [
        exchange.instance_id,
        exchange.counts_sequence,
        exchange.exchange_number,
        exchange.confirmed_number,
        deltas.retrieved_bytes,
        deltas.retrieved_emails,
        deltas.removed_emails,
        deltas.connections,
        deltas.logins,
        len(deltas.latencies),
        *flat(deltas.latencies),
        deltas.user_notes,
        exchange.open_connections,
        exchange.claimed_connections,
        exchange.waiting_connections,
        exchange.settings_version,
        round(exchange.load, 3),
        int(reap),
        2 * len(exchange.session_rows),
        len(exchange.closed_sessions),
    ]
    for row in exchange.session_rows:
        shown = [row.username, row.address, row.connected_at, row.tls, row.octets, row.retrieved, row.marked]
        shown += (round(row.active_at, 3), row.message_octets, row.message_sent)
        arguments += (row.session_id, json.dumps(shown))
    arguments += exchange.closed_sessions
    arguments += _lock_arguments(exchange)
    arguments += (exchange.address_limit, len(exchange.addresses))
    for one in exchange.addresses:
        arguments += (one.address, one.open_connections, one.waiting_connections)
    return arguments


def _lock_arguments(exchange: Exchange) -> list[Any]:
    # In columns, each of which the script can hand to a command as it is.
    releases, withdrawn, logins = exchange.releases, exchange.withdrawn_logins, exchange.logins
    usernames, sessions, *columns = zip(*logins, strict=True) if logins else [()] * len(Login._fields)
    versions, addresses, remembered, maildirs = columns
    freed = releases + withdrawn
    return [
        *(len(releases), len(withdrawn), len(logins), exchange.login_delay_seconds),
        *(username for username, _ in freed),
        *usernames,
        *(session_id for _, session_id in freed),
        *sessions,
        *versions,
        *addresses,
        *map(network_of, addresses),
        *map(int, remembered),
        *maildirs,
    ]
