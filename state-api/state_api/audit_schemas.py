"""The query parameters of the audit, and the bodies of its answers."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from state_api.schemas import Moment
from state_store.audit import Door, Wanted

MAX_PAGE = 1000
MAX_WAIT_SECONDS = 25.0
"""Less than proxies wait for an answer."""

# No name that is filtered by is longer.
Text = Annotated[str, Field(max_length=128)]
ActId = Annotated[str, Field(pattern=r"^[0-9]{1,15}-[0-9]{1,15}$", examples=["1764233674002-0"])]


class Format(Enum):
    """The forms of an answer."""

    JSON = "json"
    JSON_LINES = "jsonl"
    CSV = "csv"


class Query(BaseModel):
    """Which entries of the audit are wanted, and in which form."""

    who: Text = ""
    door: Door | None = None
    action: Text = Field(
        "",
        description="`user.add`, or `user` for all that begin with `user.`; several are separated by spaces.",
    )
    object: Text = Field("", description="All of it, or one of its words.")
    since: Moment | None = Field(None, description="RFC 3339, or seconds since the epoch.")
    until: Moment | None = Field(None, description="The same; an entry at this very time is left out.")
    limit: int = Field(
        100, ge=1, le=MAX_PAGE, description="Entries a page; a file has all, unless this is given."
    )
    before: ActId | None = Field(None, description="`next` of the page before.")
    after: ActId | None = Field(
        None, description="Begin after this entry, the oldest first; `0-0` begins with the first of all."
    )
    wait: float = Field(
        0.0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="With `after`: seconds to wait for an entry, while there is none.",
    )
    format: Format | None = Field(None, description="Instead of `Accept`; `jsonl` and `csv` are files.")

    @model_validator(mode="after")
    def _one_direction(self) -> "Query":
        if self.before is not None and self.after is not None:
            raise ValueError("before and after exclude each other: pages go back, or on")
        return self

    @property
    def has_limit(self) -> bool:
        """Whether the request says how many entries it wants."""
        return "limit" in self.model_fields_set

    def wanted(self) -> Wanted:
        """Return the filters as the store takes them."""
        return Wanted(
            self.who,
            self.door.value if self.door else "",
            self.action,
            self.object,
            self.since.timestamp() if self.since else None,
            self.until.timestamp() if self.until else None,
        )


class Act(BaseModel):
    """One entry of the audit."""

    id: str = Field(description="Grows with time.", examples=["1764233674002-0"])
    at: datetime = Field(description="When (RFC 3339, UTC).")
    who: str = Field(
        description="The administrator; with the door `machine` the program whose settings did it, or the "
        "account that typed the command. Empty for refused sign-ins.",
        examples=["admin"],
    )
    door: Literal["peep", "http", "dashboard", "machine"] = Field(
        description="Through which it was done.", examples=["http"]
    )
    address: str = Field(
        description="The client's; with the door `machine` the machine's name.", examples=["192.0.2.7"]
    )
    token: str = Field(description="The name of the API token; empty without one.", examples=[""])
    action: str = Field(description="What kind of act it is.", examples=["settings.change"])
    object: str = Field(
        description="What was acted on; several names are separated by spaces.",
        examples=["max_connections"],
    )
    old: str = Field(description="The value before; never a secret.", examples=["1000"])
    new: str = Field(
        description="The value after; with `administrator.refuse` the number of refused sign-ins since the "
        "last such entry.",
        examples=["15"],
    )


class Acts(BaseModel):
    """A page of the audit."""

    acts: list[Act]
    next: str | None = Field(
        description="Give this as `before` to get the next page, or as `after` if the request had that; null "
        "on the last page.",
        examples=["1764233674002-0"],
    )
