"""The bodies of requests and responses about users and their passwords."""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    Tag,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from state_api.schemas import encodable
from state_store.credentials.hashes.imported import MAX_CHARACTERS as MAX_HASH_CHARACTERS
from state_store.credentials.hashes.imported import ImportedHash, imported_hash
from state_store.credentials.opaque_string import MAX_CHARACTERS, opaque_string, pattern
from state_store.credentials.passwords import Passwords
from state_store.records import Credential

MAX_PAGE = 1000
DEFAULT_PAGE = 100

# P11
_USERNAME = re.compile(r"[!-\-0-~][!-.0-~]{0,127}")


def checked_username(text: str) -> str:
    """Return a valid user name unchanged. Raises `ValueError`, whose text says what is allowed (P11)."""
    if not _USERNAME.fullmatch(text):
        raise ValueError(
            "must be 1 to 128 characters of printable ASCII without space and /, not beginning with a dot"
        )
    return text


def _checked_prefix(text: str) -> str:
    return checked_username(text) if text else text


Username = Annotated[
    str,
    AfterValidator(checked_username),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": 128, "pattern": f"^{_USERNAME.pattern}$"},
    ),
    Field(
        description="Printable ASCII without space and `/`, not beginning with `.`; case counts.",
        examples=["alice"],
    ),
]
UsernamePrefix = Annotated[
    str,
    AfterValidator(_checked_prefix),
    WithJsonSchema({"type": "string", "maxLength": 128, "pattern": f"^({_USERNAME.pattern})?$"}),
    Field(examples=["al"]),
]


class _PasswordSchema:
    """Documents what `opaque_string` accepts. Computed only for the document, as it takes 0.2 s."""

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHARACTERS,
            "pattern": pattern(),
            "format": "password",
        }


Password = Annotated[
    str,
    AfterValidator(opaque_string),
    _PasswordSchema(),
    Field(
        description="An OpaqueString (RFC 8265). PEEP carries only printable ASCII, without space.",
        examples=["correct horse battery staple"],
        repr=False,
    ),
]


class User(BaseModel):
    """A POP3 user."""

    username: Username


def _checked_hash(given: object, info: ValidationInfo) -> ImportedHash:
    if not isinstance(given, str):
        raise ValueError("must be a string")
    return imported_hash(given, allow_weak=info.data.get("allow_weak", False))


PasswordHash = Annotated[
    ImportedHash,
    PlainValidator(_checked_hash, json_schema_input_type=str),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": MAX_HASH_CHARACTERS, "format": "password"}
    ),
    Field(
        description="A hash that another server has made, as Dovecot writes it: `{SCHEME}text`, or a text "
        "that shows its scheme, as `$6$...`. Or one from `GET /v1/password-hashes`.",
        examples=["{SHA512-CRYPT}$6$salt$..."],
        repr=False,
    ),
]
AllowWeak = Annotated[
    bool,
    Field(
        strict=True,
        description="Accept weak schemes too: unsalted digests, MD5-crypt, DES, passwords in the clear.",
        examples=[False],
    ),
]


class NewPassword(BaseModel):
    """A user's next password."""

    model_config = ConfigDict(extra="forbid")

    password: Password

    async def credential(self, passwords: Passwords) -> Credential:
        """Return what the store keeps of it."""
        return await passwords.new_credential(self.password)


class NewPasswordHash(BaseModel):
    """A user's next password, as another server's hash; the first login replaces it by one of ours."""

    model_config = ConfigDict(extra="forbid")

    allow_weak: AllowWeak = False
    password_hash: PasswordHash

    async def credential(self, passwords: Passwords) -> Credential:
        """Return what the store keeps of it."""
        return await passwords.imported_credential(self.password_hash)


class NewUser(NewPassword):
    """A POP3 user to add."""

    username: Username


class NewUserWithHash(NewPasswordHash):
    """A POP3 user to add who has another server's password hash."""

    username: Username


class UserEntry(BaseModel):
    """One of many users to add: with a `password`, or a `password_hash`."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, AfterValidator(encodable)] = Field(examples=["alice"])
    password: str | None = Field(None, examples=["correct horse battery staple"], repr=False)
    password_hash: str | None = Field(None, examples=["{SHA512-CRYPT}$6$salt$..."], repr=False)


class NewUsers(BaseModel):
    """Many POP3 users to add. If one cannot be added, the others still are."""

    model_config = ConfigDict(extra="forbid")

    users: list[UserEntry] = Field(
        min_length=1, description="As many as fit into a body: with most hashes some 250."
    )
    update: bool = Field(
        False,
        strict=True,
        description="Give users who exist the new password; without it they stay as they are.",
        examples=[False],
    )
    dry_run: bool = Field(False, strict=True, description="Only report what would happen.", examples=[False])
    allow_weak: AllowWeak = False


class UserOutcome(StrEnum):
    """What became of a user who was to be added."""

    ADDED = "added"
    UPDATED = "updated"
    EXISTS = "exists"
    REFUSED = "refused"


class AddedUser(BaseModel):
    """What became of one of many users."""

    username: str = Field(description="As the request has it.", examples=["alice"])
    outcome: UserOutcome = Field(
        description="`exists`: the user exists, and stays as it was. `refused`: `reason` says why.",
        examples=["added"],
    )
    reason: str | None = Field(description="Null unless refused.", examples=[None])


class AddedUsers(BaseModel):
    """What became of each of many users, in the order of the request."""

    results: list[AddedUser]


def _password_tag(body: Any) -> str:
    return "a hash" if "password_hash" in _fields(body) else "a password"


def _users_tag(body: Any) -> str:
    return "many users" if "users" in _fields(body) else _password_tag(body)


def _fields(body: Any) -> Collection[Any]:
    return body if isinstance(body, dict) else type(body).model_fields if isinstance(body, BaseModel) else ()


BODY_FORMS = frozenset({"a password", "a hash", "many users"})
"""The tags of the forms that a body may have. The framework puts them before the names of fields."""

NewPasswordBody = Annotated[
    Annotated[NewPassword, Tag("a password")] | Annotated[NewPasswordHash, Tag("a hash")],
    Discriminator(_password_tag),
]
NewUsersBody = Annotated[
    Annotated[NewUser, Tag("a password")]
    | Annotated[NewUserWithHash, Tag("a hash")]
    | Annotated[NewUsers, Tag("many users")],
    Discriminator(_users_tag),
]


class PasswordScheme(BaseModel):
    """A scheme of imported password hashes."""

    scheme: str = Field(description="Dovecot's name of it, where it has one.", examples=["SHA512-CRYPT"])
    users: int = Field(description="How many users still have such a hash.", examples=[17])


class PasswordSchemes(BaseModel):
    """How many users have which kind of password hash."""

    users: int = Field(description="All users.", examples=[812])
    imported: int = Field(
        description="Those whose hash is still another server's: they have not logged in since the import.",
        examples=[17],
    )
    schemes: list[PasswordScheme] = Field(description="Of the imported ones, sorted by name.")


class UserHash(BaseModel):
    """A user's password hash."""

    username: Username
    password_hash: str = Field(
        description="As `POST /v1/users` takes it; Dovecot takes the part before a space. A suspended user's "
        "is locked: a `!` follows the scheme.",
        examples=["{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$..."],
        repr=False,
    )


class UserHashPage(BaseModel):
    """Some of the users with their password hashes, sorted by the octets of their names."""

    users: list[UserHash]
    next: str | None = Field(
        description="Give this as `after` to get the next page; null on the last one.", examples=["alice"]
    )
