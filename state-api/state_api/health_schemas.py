"""The body of the report of health."""

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
        description="`unknown`: an older version in a rolling upgrade does not tell it.", examples=["warning"]
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
