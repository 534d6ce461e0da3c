"""`/v1/events`: a stream of what happens, for dashboards and programs."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from state_api import errors
from state_api.dependencies import Reader, ServicesDependency
from state_api.event_frames import MEDIA_TYPE

EXAMPLE = """\
retry: 1000
id: 1764233673123-0

event: counters
data: {"retrieved_bytes":5120,"retrieved_emails":3,"removed_emails":0,"current_connections":1,\
"logged_in_users":1,"historical_connections":7,"historical_logins":4,"at":"2025-11-27T08:54:33.412000Z",\
"max_connections":1000,"users":["alice"]}

event: login
id: 1764233674002-0
data: {"username":"alice","session":"bb43ba24-17","instance":"bb43ba24","address":"192.0.2.7",\
"at":"2025-11-27T08:54:34.002000Z"}

"""

router = APIRouter(prefix="/v1", tags=["monitoring"])

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that was received: the stream continues after it. Anything "
        "else counts as none.",
        examples=["1764233673123-0"],
    ),
]


@router.get(
    "/events",
    summary="Listen to what happens",
    response_class=Response,
    responses={
        200: {
            "description": "A stream that ends when its administrator, the password, the role or the API "
            "token is changed or removed, when the dashboard's sign-in that opened it is over, or with the "
            "process; browsers come back by themselves and go on after the last event.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
        },
        **errors.problems(
            errors.UNAUTHENTICATED, errors.STORE_UNAVAILABLE, errors.DRAINING, errors.TOO_MANY_STREAMS
        ),
    },
)
async def stream_events(
    request: Request,
    services: ServicesDependency,
    _: Reader,
    last_event_id: LastEventId = None,
) -> Response:
    """Server-Sent Events, each with JSON as its data.

    `counters`: as `/v1/counters`, with the connection limit and the names of at most 60 logged-in users at
    the same moment (max_connections, users, at), at once and then every second. `login`: session,
    username, address, instance, at. `logout`: the same without address. `setting`: name, value, at.
    `refused`: wrong passwords: username of the last one (empty for an administrator's), network, reason,
    count, at.
    `slowed`: guesses are slowed down from now on: username, network, at; an empty one is for all.
    `refusal`: action (suspend, ban, exempt, lift, end), refusal (suspend, ban, exempt), subject, by, reason,
    until (ms since the epoch, or 0), count (how many at once; the rest is of the last one), at. `health`:
    what `/v1/health/changes` has, with at. `gap`:
    events were missed and are no longer kept. `store`: `up` false when Redis goes away, true when it is
    back; none of the last 1,000 events is missed meanwhile. `at` is the time (RFC 3339); an event that
    has an `id` is sent once. A client that does not read is cut off.
    """
    if getattr(request.state, "wants_no_body", False):
        return Response(media_type=MEDIA_TYPE)
    return services.event_feed.open(request.state.proof, last_event_id)
