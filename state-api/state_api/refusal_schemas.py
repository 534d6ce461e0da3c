"""The bodies of requests and responses about suspensions, bans and exemptions."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from state_api.times import checked_end, time_if_any, time_of
from state_api.user_schemas import checked_username
from state_store import refusals
from state_store.refusals import LONGEST_REASON_CHARACTERS, RefusalKind, RefusalOutcome

MAX_PAGE = 1000
DEFAULT_PAGE = 100
MAX_REFUSALS = 500
"""In one request."""

MAX_TEXT = 200
"""Of a filter: no subject and no reason is longer."""


def _text(given: object) -> object:
    # Numbers would be taken for seconds since the epoch.
    if given is not None and not isinstance(given, str):
        raise ValueError("must be a time as RFC 3339 writes it, or null")
    return given


Reason = Annotated[
    str,
    AfterValidator(refusals.checked_reason),
    WithJsonSchema({"type": "string", "maxLength": LONGEST_REASON_CHARACTERS, "pattern": "^[ -~]*$"}),
    Field(
        max_length=LONGEST_REASON_CHARACTERS,
        description="What mail programs show; printable ASCII. Empty: they get a general text.",
        examples=["the bill is not paid"],
    ),
]
Until = Annotated[
    Annotated[AwareDatetime, AfterValidator(checked_end)] | None,
    BeforeValidator(_text),
    Field(
        description="When it ends by itself (RFC 3339); null for no end.", examples=["2027-03-01T12:00:00Z"]
    ),
]
Kind = Annotated[
    RefusalKind,
    Field(
        description="`suspend` a user, `ban` a network from POP3, or `exempt` one from bans and slow-downs: "
        "an exemption wins over any ban.",
        examples=["ban"],
    ),
]
IsObeyed = Annotated[
    bool,
    Field(
        description="Whether every live POP3 process applies it already, and has closed the sessions that it "
        "concerns. A process that is cut off from Redis does so as soon as it is back.",
        examples=[True],
    ),
]

Ignorant = Annotated[
    list[str],
    Field(
        description="Host and version of live POP3 processes of an earlier version, which know no refusals "
        "and let everybody in: upgrade them.",
        examples=[[]],
    ),
]


class NewSuspension(BaseModel):
    """Why and until when a user is suspended."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""
    until: Until = None

    def of(self, username: str) -> refusals.NewRefusal:
        """Return what the store takes."""
        return refusals.NewRefusal(RefusalKind.SUSPEND, username, self.reason, _seconds(self.until))


class NewRefusal(NewSuspension):
    """A suspension, ban or exemption to set; it replaces one of the same kind and subject."""

    kind: Kind
    subject: str = Field(description="A user's name, an address, or a network.", examples=["192.0.2.0/24"])

    @field_validator("subject")
    @classmethod
    def _of_its_kind(cls, text: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        return checked_username(text) if kind is RefusalKind.SUSPEND else refusals.canonical_network(text)

    def stored(self) -> refusals.NewRefusal:
        """Return what the store takes."""
        return refusals.NewRefusal(self.kind, self.subject, self.reason, _seconds(self.until))


class NewRefusals(BaseModel):
    """Refusals to set: if one of them is malformed, none is set."""

    model_config = ConfigDict(extra="forbid")

    refusals: list[NewRefusal] = Field(min_length=1, max_length=MAX_REFUSALS)


class Refusal(BaseModel):
    """A suspension, ban or exemption in force."""

    id: str = Field(description="By which it is lifted.", examples=["5f0c9e1b7a42"])
    kind: Kind
    subject: str = Field(description="A user's name, an address, or a network.", examples=["192.0.2.0/24"])
    reason: str = Field(examples=["too many guesses"])
    until: datetime | None = Field(description="When it ends by itself (RFC 3339, UTC); null for no end.")
    by: str = Field(description="Who has set it.", examples=["admin"])
    since: datetime = Field(description="When it was set (RFC 3339, UTC).")


class RefusalCounts(BaseModel):
    """How many are in force."""

    suspended: int = Field(description="Users.", examples=[3])
    banned: int = Field(description="Networks.", examples=[2])
    exempt: int = Field(description="Networks.", examples=[1])


class RefusalPage(BaseModel):
    """A page of the refusals in force, sorted by kind and subject."""

    refusals: list[Refusal]
    next: str | None = Field(
        description="Give it as `after` for the next page; null on the last one.", examples=["ban 192.0.2.7"]
    )
    counts: RefusalCounts = Field(description="Of all refusals in force, whatever the filter.")


class RefusalResult(BaseModel):
    """The outcome of one refusal."""

    id: str
    kind: Kind
    subject: str
    outcome: RefusalOutcome = Field(
        description="`past`: its end is in the past, by Redis's clock. `full`: there are 10,000 already.",
        examples=["set"],
    )


class RefusalsSet(BaseModel):
    """The outcome of each refusal."""

    results: list[RefusalResult]
    is_obeyed: IsObeyed
    ignorant: Ignorant


class SuspensionSet(BaseModel):
    """The user is suspended."""

    is_obeyed: IsObeyed
    ignorant: Ignorant


def shown(refusal: refusals.Refusal) -> Refusal:
    """Return a refusal as it is answered."""
    return Refusal(
        id=refusal.refusal_id,
        kind=refusal.kind,
        subject=refusal.subject,
        reason=refusal.reason,
        until=time_if_any(refusal.until),
        by=refusal.by,
        since=time_of(refusal.since),
    )


def _seconds(until: datetime | None) -> float:
    # 0 is no end: a time before the epoch is one in the past.
    return max(until.timestamp(), 0.001) if until is not None else 0.0
