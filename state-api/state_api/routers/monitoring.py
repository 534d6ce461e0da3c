"""`/v1/counters`, `/v1/sessions`, `/v1/slow-downs` and the like: what operators watch."""

import asyncio
import time
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Response

from service_runtime import VERSION
from state_api import errors, schemas
from state_api.conditional_answers import weak_tag
from state_api.dependencies import Helper, Reader, RepositoryDependency
from state_api.times import time_if_any, time_of
from state_store import records
from state_store.credentials import attempts
from state_store.moves import Move

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["monitoring"], responses=errors.FOR_ADMINISTRATORS)

SessionId = Annotated[str, Path(description="As the list of sessions shows it.", examples=["bb43ba24-17"])]
SlowDownId = Annotated[str, Path(description="As the list shows it.", examples=["5f0c9e1b7a42"])]


@router.get("/counters", summary="Show every counter and gauge")
async def show_counters(repository: RepositoryDependency, _: Reader) -> schemas.Counters:
    """PEEP `rb?`, `re?`, `xe?`, `cc?`, `hc?`, `hu?` and the number of lines of `cu?`, over all processes."""
    return schemas.Counters.model_validate(await repository.counters())


@router.get("/sessions", summary="List the open POP3 connections")
async def list_sessions(repository: RepositoryDependency, response: Response, _: Reader) -> schemas.Sessions:
    """PEEP `s?`, with more about each connection. The oldest comes first, logged in or not."""
    now, found = time.time(), await repository.sessions()
    # Without seconds, which grow by themselves.
    response.headers["ETag"] = weak_tag(found)
    return schemas.Sessions(sessions=[session_of(session, now) for session in found])


@router.delete(
    "/sessions/{session_id}",
    summary="Close a POP3 connection",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_SESSION),
)
async def close_session(
    session_id: SessionId, repository: RepositoryDependency, administrator: Helper
) -> None:
    """PEEP `k-`. The answer comes once it is closed; messages that it had marked as deleted stay."""
    await repository.close_session(session_id, by=administrator)
    log.info("session closed by an administrator", session=session_id, administrator=administrator.name)


@router.get("/logged-in-users", summary="List who is logged in")
async def list_logged_in_users(repository: RepositoryDependency, _: Reader) -> schemas.LoggedInUsers:
    """PEEP `cu?`."""
    return schemas.LoggedInUsers(users=await repository.logged_in_users())


@router.get("/instances", summary="List the POP3 processes")
async def list_instances(repository: RepositoryDependency, _: Reader) -> schemas.Instances:
    """List the oldest first. One that no longer answers is listed until its lease is over."""
    return schemas.Instances(instances=[_instance(status) for status in await repository.instances()])


@router.get("/version", summary="Show the version of Peep")
async def show_version(_: Reader) -> schemas.Version:
    """PEEP `v?`: the version of the process that answers; `/v1/instances` has those of the POP3 processes."""
    return schemas.Version(version=VERSION)


@router.get("/slow-downs", summary="List who is slowed down for wrong passwords")
async def list_slow_downs(repository: RepositoryDependency, _: Reader) -> schemas.SlowDowns:
    """PEEP `g?`. Strangers share the allowances of their network and of their user.

    Users who have logged in from a network lately have an allowance of their own there.
    """
    return schemas.SlowDowns(slow_downs=[_slow_down(one) for one in await repository.slow_downs()])


@router.delete(
    "/slow-downs/{slow_down_id}",
    summary="Lift a slow-down",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_SLOW_DOWN),
)
async def lift_slow_down(
    slow_down_id: SlowDownId, repository: RepositoryDependency, administrator: Helper
) -> None:
    """PEEP `g-`. The allowance is full again at once; further wrong passwords use it up again."""
    await repository.lift_slow_down(slow_down_id, by=administrator)
    log.info("slow-down lifted", slow_down=slow_down_id, administrator=administrator.name)


@router.get("/moves", summary="List whose mail comes from the old server")
async def list_moves(repository: RepositoryDependency, _: Reader) -> schemas.Moves:
    """PEEP `mv?` and `mc?`. Users are added when all of their mail is here."""
    counts, moves = await asyncio.gather(repository.move_counts(), repository.moves())
    return schemas.Moves(source=counts.source or None, moved=counts.moved, moves=list(map(_move, moves)))


def _move(move: Move) -> schemas.Move:
    return schemas.Move(
        username=move.username,
        state=move.state.value,
        messages_here=move.progress.here,
        messages=move.progress.total,
        at=time_of(move.at),
        reason=move.reason or None,
    )


def session_of(session: records.SessionRow, now: float) -> schemas.Session:
    """Return a session as the API shows it, at the time `now` in seconds since the epoch."""
    return schemas.Session(
        id=session.session_id,
        instance=session.instance_id,
        username=session.username,
        address=session.address,
        tls=session.tls or None,
        connected_at=time_of(session.connected_at),
        # The clocks of two machines may differ a little.
        seconds=round(max(0.0, now - session.connected_at), 3),
        octets=session.octets,
        retrieved=session.retrieved,
        marked=session.marked,
        idle_seconds=round(max(0.0, now - session.active_at), 3) if session.active_at else None,
        message=(
            schemas.MessageProgress(octets=session.message_octets, sent=session.message_sent)
            if session.message_octets
            else None
        ),
    )


def _instance(status: records.InstanceStatus) -> schemas.Instance:
    return schemas.Instance(
        id=status.instance.instance_id,
        host=status.instance.host,
        process_id=status.instance.process_id,
        worker=status.instance.worker,
        version=status.instance.version,
        started_at=time_of(status.instance.started_at),
        lease_seconds=round(status.lease_seconds, 3),
        connections=status.open_connections,
        reserved=status.reserved_connections,
        load=status.load,
        certificate_expires_at=time_if_any(status.certificate_expires_at),
    )


def _slow_down(one: attempts.SlowDown) -> schemas.SlowDown:
    return schemas.SlowDown(
        id=one.slow_down_id,
        network=one.network or None,
        username=one.user or None,
        is_administrator=one.is_administrator,
        since=time_of(one.since),
        attempts=one.attempts,
        until=time_of(one.until),
    )
