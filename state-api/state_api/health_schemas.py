"""The bodies of what is told of health."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

StateName = Literal["ok", "unknown", "warning", "critical"]


class Check(BaseModel):
    """One thing that was looked at."""

    name: str = Field(examples=["mail-disk"])
    subject: str = Field(
        description="Which one of several, a machine or a process; else empty.", examples=["mail-1"]
    )
    state: StateName = Field(
        description="`unknown`: not reported yet, or never by an older version in a rolling upgrade.",
        examples=["warning"],
    )
    text: str = Field(description="How it is, in words.", examples=["8.2 GB of 100.0 GB are free"])
    advice: str = Field(
        description="What to do; empty while nothing is to be done.",
        examples=["Make room, or enlarge the disk: once it is full, mail is not delivered any more."],
    )


class HealthReport(BaseModel):
    """What is well and what is not."""

    state: StateName = Field(description="The worst of what is known.", examples=["warning"])
    checks: list[Check]


class HealthChange(BaseModel):
    """Checks of one name that have changed to one state at once."""

    at: datetime = Field(description="When that was found (RFC 3339, UTC).")
    name: str = Field(examples=["mail-disk"])
    subject: str = Field(description="Of the first of them: as in the report.", examples=["mail-1"])
    state: StateName | Literal["gone"] = Field(
        description="`gone`: it was not well, and is not there any more.", examples=["critical"]
    )
    text: str = Field(
        description="How the first of them was.", examples=["cannot be read: Stale file handle"]
    )
    count: int = Field(description="How many they are.", examples=[1])


class HealthChanges(BaseModel):
    """What has become bad, worse or well, the newest first."""

    changes: list[HealthChange]
