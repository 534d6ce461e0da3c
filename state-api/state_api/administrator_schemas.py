"""The bodies of requests and responses about administrators and API tokens."""

import re
import time
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from state_api.times import checked_end
from state_store.administrators import Role
from state_store.refusals import canonical_network

# Each can be typed in a shell, sent over PEEP and HTTP Basic, and shown anywhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")

# As in settings: PEEP cannot carry a space, HTTP can.
_PASSWORD = re.compile(r"[!-~][ -~]{7,127}")

MOST_NETWORKS = 32


def _checked_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit")
    return text


def _checked_password(text: str) -> str:
    if not _PASSWORD.fullmatch(text):
        raise ValueError("must be 8 to 128 characters of printable ASCII, not beginning with a space")
    return text


def _checked_end(moment: datetime) -> datetime:
    if moment.timestamp() <= time.time():
        raise ValueError("must be in the future")
    return checked_end(moment)


Name = Annotated[
    str,
    AfterValidator(_checked_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 64, "pattern": f"^{_NAME.pattern}$"}),
    Field(description="Letters, digits and `.` `_` `@` `+` `-`; case counts.", examples=["bob"]),
]
NewPasswordText = Annotated[
    str,
    AfterValidator(_checked_password),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 8,
            "maxLength": 128,
            "pattern": f"^{_PASSWORD.pattern}$",
            "format": "password",
        }
    ),
    Field(
        description="Printable ASCII; one with a space is for HTTP alone, as PEEP cannot carry it.",
        examples=["correct-horse-battery-staple"],
        repr=False,
    ),
]
GivenRole = Annotated[
    Role,
    Field(
        description="`read` sees everything but secrets, `helpdesk` helps users too, `all` may do everything "
        "and alone signs in to PEEP.",
        examples=["read"],
    ),
]
Network = Annotated[
    str,
    AfterValidator(canonical_network),
    WithJsonSchema({"type": "string", "maxLength": 49}),
    Field(examples=["192.0.2.0/24"]),
]


class Administrator(BaseModel):
    """An administrator of PEEP and HTTP."""

    name: str = Field(examples=["bob"])
    role: GivenRole
    is_from_settings: bool = Field(
        description="Whether the settings of a running service name him: only they change or remove him.",
        examples=[False],
    )


class Administrators(BaseModel):
    """All administrators, sorted by name."""

    administrators: list[Administrator]


class NewAdministrator(BaseModel):
    """An administrator to make."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    password: NewPasswordText
    role: GivenRole


class AdministratorPassword(BaseModel):
    """An administrator's next password."""

    model_config = ConfigDict(extra="forbid")

    password: NewPasswordText


class OwnPassword(BaseModel):
    """The next password of the administrator who sends the request."""

    model_config = ConfigDict(extra="forbid")

    current_password: str = Field(
        max_length=128, description="The present one.", examples=["the-present-one"], repr=False
    )
    password: NewPasswordText


class AdministratorRole(BaseModel):
    """An administrator's next role."""

    model_config = ConfigDict(extra="forbid")

    role: GivenRole


class ApiToken(BaseModel):
    """A token that programs send as `Authorization: Bearer`, without its secret."""

    name: str = Field(examples=["prometheus"])
    role: GivenRole
    networks: list[str] = Field(
        description="Where it may be used from; empty: anywhere.", examples=[["192.0.2.0/24"]]
    )
    ends_at: datetime | None = Field(description="RFC 3339, UTC; null: never.")
    made_at: datetime
    made_by: str = Field(description="The administrator who made it.", examples=["root"])
    used_at: datetime | None = Field(description="Its last use, to a minute; null: none yet.")
    used_from: str | None = Field(description="The address of its last use.", examples=["192.0.2.7"])


class ApiTokens(BaseModel):
    """All tokens, sorted by name; those that have ended among them."""

    tokens: list[ApiToken]


class NewApiToken(BaseModel):
    """A token to make."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    role: GivenRole
    networks: list[Network] = Field(
        default=[],
        max_length=MOST_NETWORKS,
        description="Where it may be used from; empty: anywhere.",
        examples=[["192.0.2.0/24"]],
    )
    ends_at: Annotated[AwareDatetime, AfterValidator(_checked_end)] | None = Field(
        default=None, description="In the future, RFC 3339 with a time zone; null: never."
    )


class MadeApiToken(BaseModel):
    """A new token."""

    name: str = Field(examples=["prometheus"])
    token: str = Field(
        description="The token itself, shown only now: `peep_` and 49 letters and digits, the last six of "
        "which are a checksum.",
        examples=["peep_..."],
        repr=False,
    )
