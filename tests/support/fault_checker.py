"""Compares what clients were told with the maildirs and the counters, after a run full of faults."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from state_store.instance.exchanges import FAREWELL_SECONDS
from support.fault_client import SOME_REMAIN
from support.fault_log import LEASE_SECONDS, NAMES, RENEWAL_SECONDS, Counts, Message, RunLog, SessionLog, Span

UNSENT_SECONDS = 0.1
"""How much of its work a worker that is killed may not have told yet (P15)."""

SLACK_SECONDS = 0.4
"""Two cores are shared with all the tests, so that a worker may wait for its turn to tell."""

RECOVERY_SECONDS = 2.0
"""How long after an outage the workers may still be telling what has gathered."""

SHORTEST_LEASE_SECONDS = LEASE_SECONDS - RENEWAL_SECONDS - 1.0
"""A worker that is stopped right before it would have renewed its lease keeps it so long."""


@dataclass(frozen=True, slots=True)
class FinalState:
    """What is there when all clients have gone: counters, instance id -> process id, the files' contents.

    `recorded` are sums of the users' records, by the names of `counted`.
    """

    counted: Counts
    processes: dict[str, int]
    files: dict[str, list[bytes]]
    recorded: Mapping[str, int] = field(default_factory=dict)


def counted(shown: Mapping[str, int]) -> Counts:
    """Return what counters say, or what they have grown by, given by their names."""
    return Counts(
        octets=shown["retrieved_bytes"],
        retrieved=shown["retrieved_emails"],
        removed=shown["removed_emails"],
        connections=shown["historical_connections"],
        logins=shown["historical_logins"],
    )


def message_files(maildirs: Iterable[Path]) -> dict[str, list[bytes]]:
    """Return the contents of every file that has a message's unique name, of all that lie in `maildirs`."""
    files: dict[str, list[bytes]] = {}
    for maildir in maildirs:
        for path in maildir.glob("[nc][eu][wr]/*"):
            files.setdefault(path.name.partition(":")[0], []).append(path.read_bytes())
    return files


def complaints(log: RunLog, state: FinalState) -> list[str]:
    """Return every promise that was broken, in words."""
    checker = _Checker(log, state)
    found = list(log.complaints)
    for session in log.sessions:
        found += session.complaints
    for part in (checker.mail, checker.listings, checker.exclusiveness, checker.counters, checker.records):
        found += part()
    return found


class _Checker:
    def __init__(self, log: RunLog, state: FinalState) -> None:
        self._log, self._state = log, state
        self._by_user: dict[str, list[SessionLog]] = defaultdict(list)
        self._markers: dict[str, list[SessionLog]] = defaultdict(list)
        for session in log.sessions:
            self._by_user[session.username].append(session)
            if session.quit_sent is not None:
                for unique_id in session.marked:
                    self._markers[unique_id].append(session)
        self._gone = {unique_id for unique_id in log.messages if unique_id not in state.files}

    # No lost mail

    def mail(self) -> Iterator[str]:
        """Every message is there, whole, or was removed by a QUIT that did not say otherwise."""
        for unique_id, message in self._log.messages.items():
            yield from self._message(unique_id, message)
        for unique_id in self._state.files.keys() - self._log.messages.keys():
            yield f"{unique_id} is there, and nobody delivered it"

    def _message(self, unique_id: str, message: Message) -> Iterator[str]:
        markers = self._markers[unique_id]
        if unique_id in self._gone:
            if not any(_may_have_removed(session) for session in markers):
                told = "".join(f"; {one}: {one.quit_reply!r}" for one in markers)
                yield f"{unique_id} of {message.username} is lost: no QUIT removed it{told}"
            return
        if self._state.files[unique_id] != [message.content]:
            yield f"{unique_id} of {message.username} is not what was delivered, or is there twice"
        for session in markers:
            if _has_removed(session):
                yield f"{session} was told that {unique_id} is removed, and it is still there"

    def listings(self) -> Iterator[str]:
        """Each login lists what was delivered before it and not removed, and nothing else."""
        for session in self._log.sessions:
            if session.listed is not None:
                yield from self._listing(session, session.listed)

    def _listing(self, session: SessionLog, listed: set[str]) -> Iterator[str]:
        assert session.pass_sent is not None
        assert session.logged_in is not None
        for unique_id, message in self._log.messages.items():
            markers = self._markers[unique_id]
            if message.username != session.username:
                if unique_id in listed:
                    yield f"{session} was shown {unique_id} of {message.username}"
            elif unique_id not in listed:
                may_be_removed = any(
                    _may_have_removed(other) and _before(other.quit_sent, session.logged_in)
                    for other in markers
                )
                if message.delivered < session.pass_sent and not may_be_removed:
                    yield f"{session} was not shown {unique_id}"
            elif message.began > session.logged_in:
                yield f"{session} was shown {unique_id} before it came"
            elif any(
                _has_removed(other) and _before(other.quit_answered, session.pass_sent) for other in markers
            ):
                yield f"{session} was shown {unique_id} after its removal"

    # One session at a time

    def exclusiveness(self) -> Iterator[str]:
        """Nobody logs in while somebody else's session goes on, or loses mail during a session.

        A worker that was stopped so long ago that its lease may be over holds nothing any more:
        its client may still believe so, but is not told that something was removed.
        """
        for sessions in self._by_user.values():
            opened = [session for session in sessions if session.logged_in is not None]
            opened.sort(key=lambda session: session.logged_in or 0.0)
            for number, late in enumerate(opened):
                for early in opened[:number]:
                    yield from self._overlap(early, late)
        for session in self._log.sessions:
            for unique_id, look in session.vanished.items():
                was_open = session.open_at is not None and session.open_at >= look.begin
                is_excused = self._may_have_lapsed(session, look.end) or self._was_promised_nothing(unique_id)
                if was_open and not is_excused:
                    yield f"{unique_id} vanished during {session}, at {self._log.clock(look.end)}"

    def _overlap(self, early: SessionLog, late: SessionLog) -> Iterator[str]:
        assert late.logged_in is not None
        assert early.open_at is not None
        if late.logged_in >= early.open_at:
            return
        moments = [self._log.clock(moment) for moment in (late.logged_in, early.open_at)]
        when = f"{late} logged in at {moments[0]}, {early} was open until {moments[1]}"
        if not self._may_have_lapsed(early, late.logged_in):
            yield f"two sessions at once: {when}"
        elif early.marked and _has_removed(early):
            yield f"the late session removed mail: {when}"

    def _may_have_lapsed(self, session: SessionLog, moment: float) -> bool:
        """Whether the lease of a session's worker may have been over at this moment."""
        latest = moment - SHORTEST_LEASE_SECONDS
        return any(
            stop.begin < latest and stop.end - stop.begin > SHORTEST_LEASE_SECONDS
            for stop in self._stops(session)
        )

    def _was_promised_nothing(self, unique_id: str) -> bool:
        """Whether a worker may have been stopped between a look at its lease and the removal of this message.

        It removes it when it goes on (DESIGN.md, "Not promised"). It had QUIT before it was stopped, so more
        than a lease before the end of a stop past its lease.
        """
        return any(
            _before(marker.quit_sent, stop.end - LEASE_SECONDS)
            and not _before(marker.quit_answered, stop.begin)
            for marker in self._markers[unique_id]
            for stop in self._stops(marker)
        )

    def _stops(self, session: SessionLog) -> list[Span]:
        return self._log.stops.get(self._process(session), [])

    # Counters

    def counters(self) -> Iterator[str]:
        """What the servers counted is what the clients saw, but for what was lost with a process.

        A killed worker may not have told its last, nor a killed master have passed its last on.
        """
        low = high = Counts(removed=len(self._gone))
        for session in self._log.sessions:
            for _, counts in session.seen:
                low += counts
                high += counts
            high += session.unsure
            low -= self._unsent(session) + self._unreplicated(session)
        for name in NAMES:
            least, most, counted = (getattr(each, name) for each in (low, high, self._state.counted))
            if not least <= counted <= most:
                yield f"{name}: counted {counted}, the clients say {_range(least, most)}"

    def records(self) -> Iterator[str]:
        """The users' records add up to what the servers counted: both are told in one step, lost or not."""
        for name, recorded in self._state.recorded.items():
            counted = getattr(self._state.counted, name)
            if recorded != counted:
                yield f"{name}: counted {counted}, and the users' records say {recorded}"

    def slack(self) -> Counts:
        """Return how far apart the least and the most are that the counters may say."""
        total = Counts()
        for session in self._log.sessions:
            total += session.unsure + self._unsent(session) + self._unreplicated(session)
        return total

    def _unsent(self, session: SessionLog) -> Counts:
        """Return what the session's worker had perhaps not told when it was killed, or gave up."""
        ended_at = self._ended_untold(self._process(session))
        if ended_at is None:
            return Counts()
        begin = self._untold_since(ended_at, [*self._log.outages, *self._stops(session)])
        lost = Counts()
        for moment, counts in session.seen:
            if moment >= begin:
                lost += counts
        if session.marked and session.quit_sent is not None and not _before(session.quit_answered, begin):
            lost += Counts(removed=len(session.marked))
        return lost

    def _unreplicated(self, session: SessionLog) -> Counts:
        """Return what was told about the session right before a master was killed, and is lost with it."""
        lost = Counts()
        for moment, counts in session.seen:
            if self._is_at_failover(moment):
                lost += counts
        if session.marked and session.quit_answered and self._is_at_failover(session.quit_answered):
            lost += Counts(removed=len(session.marked))
        return lost

    def _is_at_failover(self, moment: float) -> bool:
        return any(
            self._untold_since(kill.begin, []) <= moment <= self._noted_by(kill.end)
            for kill in self._log.failovers
        )

    def _noted_by(self, moment: float) -> float:
        """Return until when a client may note what it was told at this moment."""
        latest = moment + UNSENT_SECONDS + SLACK_SECONDS
        for stall in self._log.stalls:
            if stall.begin <= latest:
                latest = max(latest, stall.end + SLACK_SECONDS)
        return latest

    def _ended_untold(self, process: int) -> float | None:
        """Return when the worker ended with its last untold, None where it has told everything.

        One that was asked to end gives up when the store is away for all of `FAREWELL_SECONDS`.
        """
        farewell = self._log.farewells.get(process)
        if farewell is not None and farewell.end - farewell.begin >= FAREWELL_SECONDS:
            away = [*self._log.outages, *self._log.stalls]
            if any(one.begin < farewell.end and one.end > farewell.begin for one in away):
                return farewell.begin
        return self._log.kills.get(process)

    def _untold_since(self, ended_at: float, hindrances: Iterable[Span]) -> float:
        begin = ended_at - UNSENT_SECONDS - SLACK_SECONDS
        for one in sorted([*self._log.stalls, *hindrances], key=lambda one: -one.begin):
            if one.begin <= ended_at and one.end + RECOVERY_SECONDS >= begin:
                begin = min(begin, one.begin - UNSENT_SECONDS - SLACK_SECONDS)
        return begin

    def _process(self, session: SessionLog) -> int:
        return self._state.processes.get(session.instance_id, 0)


def slack(log: RunLog, state: FinalState) -> Counts:
    """Return how exactly the counters could be checked: all zero is to the octet."""
    return _Checker(log, state).slack()


def _may_have_removed(session: SessionLog) -> bool:
    return not session.quit_reply or session.quit_reply.startswith((b"+OK", SOME_REMAIN))


def _has_removed(session: SessionLog) -> bool:
    return session.quit_reply.startswith(b"+OK")


def _before(moment: float | None, limit: float) -> bool:
    return moment is not None and moment < limit


def _range(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"
