"""The settings of all programs: each field is an environment variable `PEEP_X` and its documentation.

`make docs` writes the table of docs/reference.md from these classes. A wrong or missing variable ends the
program with one line that names the variable and says what is allowed.
"""

import difflib
import os
from collections.abc import Mapping
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from service_runtime.errors import StartError
from service_runtime.maildir_layout import DEFAULT_LAYOUT
from service_runtime.processors import usable_processors
from service_runtime.setting_formats import (
    AbsolutePath,
    AbsolutePaths,
    Administrators,
    Layout,
    Networks,
    OldServer,
    Port,
    RedisUrl,
)
from state_store.audit import DEFAULT_DAYS, DEFAULT_ENTRIES

PREFIX = "PEEP_"
SECRETS = ("admins", "redis_url")
"""Settings that may also be read from a file, named by `PEEP_X_FILE`."""

INTERNAL = ("PEEP_READY_FD", "PEEP_PARENT_FD", "PEEP_ANSWER_FD", "PEEP_WORKER", "PEEP_WORKER_SOCKETS")
"""Variables that the supervisor sets for its children."""

_MEANT = {
    "API": "HTTP",
    "STATE_API": "HTTP",
    "PEEPS": "TLS",
    "PEEP_GATEWAY": "",
    "GATEWAY": "",
    "PEEP": "",
}
"""What people call a part of Peep, and how its variables begin after `PEEP_`."""

_CHANGED_WHILE_RUNNING = {
    "MAX_CONNECTIONS": "max-connections",
    "TIMEOUT": "timeout",
    "TIMEOUT_SECONDS": "timeout",
    "MAIL_DIRECTORY": "mail-directory",
}
"""What looks like a variable and is a setting of all services, by the name that `peepctl set` has for it."""

MOST_WORKERS = 256


MODEL_CONFIG = ConfigDict(frozen=True, defer_build=True)
"""Pydantic builds a validator at first use: each program uses one of these classes and imports them all."""


class CommonSettings(BaseModel):
    """Settings of all three services."""

    model_config = MODEL_CONFIG

    redis_url: RedisUrl = Field(
        description="Redis or Valkey: `redis://`, `rediss://` (TLS), `unix://`, "
        "`redis+sentinel://host:port,host:port/master-name`, `redis+cluster://host:port,host:port`, "
        "the last two also with `rediss+` (`make up` brings its own)",
        repr=False,
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: JSON unless standard error is a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe event that is logged"
    )
    drain_seconds: float = Field(
        30, ge=0, le=3600, description="on SIGTERM, how long open sessions may take to finish"
    )
    drain_notice_seconds: float = Field(
        0,
        ge=0,
        le=300,
        description="before that, how long POP3 and HTTP serve as usual while health checks already fail, "
        "so that proxies send new clients elsewhere",
    )
    trusted_networks: Networks = Field(
        default=[],
        description="networks whose wrong passwords are never slowed down, and that no ban concerns, "
        "separated by commas: those of a webmail server, or of a load balancer that does not pass on its "
        "clients' addresses",
    )
    mail_dir: AbsolutePath = Field(
        "/var/mail/peep",
        description="the mail directory until `m=` changes it; takes effect only while no POP3 process runs "
        "with another one (`make up`: `DATA_DIR/mail`)",
    )


class TlsSettings(CommonSettings):
    """Settings of the services that speak TLS when they have a certificate."""

    tls_cert_file: str | None = Field(
        None,
        description="PEM file of the certificate and its chain; changed files are loaded without a restart",
    )
    tls_key_file: str | None = Field(
        None, description="PEM file of its private key, if the certificate's file does not contain it"
    )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.tls_key_file and not self.tls_cert_file:
            raise PydanticCustomError("tls_key_file", "needs PEEP_TLS_CERT_FILE beside it")
        return self


class Pop3Settings(TlsSettings):
    """Settings of pop3-service."""

    pop3_host: str = Field("127.0.0.1", description="where POP3 listens (containers: `0.0.0.0`)")
    pop3_port: Port = Field(1110, description="POP3; 0 picks a free port and prints it")
    pop3s_port: Port = Field(
        1995, description="POP3 inside TLS, only with a certificate; 0 picks a free port"
    )
    require_tls: bool = Field(False, description="`1`: refuse passwords outside TLS")
    proxy_protocol: bool = Field(
        False, description="`1`: every connection begins with a PROXY header, version 1 or 2"
    )
    proxy_trusted: Networks = Field(
        default=[],
        description="networks of the proxies whose headers are accepted, separated by commas",
    )
    max_connections_per_address: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="POP3 connections of one client address over all replicas; 0: no limit",
    )
    login_delay: int = Field(
        0, ge=0, le=86_400, description="seconds between two logins of one user (LOGIN-DELAY); 0: none"
    )
    login_records: int = Field(
        365,
        ge=0,
        le=3650,
        description="days for which each user's last login, refused logins and traffic are kept; 0: none "
        "are, and those that were are removed; the same for all POP3 services",
    )
    pop3_workers: int = Field(
        default_factory=lambda: min(usable_processors(), MOST_WORKERS),
        ge=1,
        le=MOST_WORKERS,
        description="POP3 processes that share the port (default: one for each core that affinity and the "
        "control group's quota allow, rounded up)",
    )
    maildir_layout: Layout = Field(
        DEFAULT_LAYOUT,
        description="path of a user's maildir below the mail directory: folder names, `{user}`, `{local}` "
        "and `{domain}`, as in `{domain}/{local}/Maildir`; the last two are the parts of the user's name "
        "before and after its last `@`",
    )
    mail_roots: AbsolutePaths = Field(
        default=[],
        description="absolute paths separated by commas: `m=` accepts only paths at or below one of them, "
        "and links to maildirs there are followed if root or the service's user owns them",
    )
    move_from: OldServer = Field(
        "",
        description="the POP3 server that users come from, `pop3s://HOST[:PORT]` or "
        "`pop3://HOST[:PORT]?stls`: who is not a user yet and gives a password that it takes becomes one, "
        "with the mail that it has",
    )
    move_ca_file: str | None = Field(
        None,
        description="PEM file of the certificates that are trusted for `PEEP_MOVE_FROM` instead of the "
        "system's",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.require_tls and not self.tls_cert_file:
            raise PydanticCustomError("require_tls", "needs a certificate: set PEEP_TLS_CERT_FILE")
        if self.move_ca_file and not self.move_from:
            raise PydanticCustomError("move_ca_file", "needs PEEP_MOVE_FROM beside it")
        if self.proxy_protocol and not self.proxy_trusted:
            raise PydanticCustomError("proxy_protocol", "needs the proxies' networks: set PEEP_PROXY_TRUSTED")
        if self.tls_cert_file and self.pop3s_port == self.pop3_port != 0:
            raise PydanticCustomError("pop3s_port", "must be another port than PEEP_POP3_PORT")
        return self


class AdministratorSettings(CommonSettings):
    """Settings of both front ends for administrators."""

    admins: Administrators = Field(
        default={},
        description="PEEP and HTTP administrators, `name:password` pairs separated by commas or line ends; a "
        "password with a space is for HTTP alone, as PEEP cannot carry it; "
        "unset: the first start makes one `admin` and prints its password once",
        repr=False,
    )
    audit_days: int = Field(
        DEFAULT_DAYS,
        ge=1,
        le=36_500,
        description="for how long Redis keeps what administrators have done; of front ends with different "
        "values the one started last decides",
    )
    audit_entries: int = Field(
        DEFAULT_ENTRIES,
        ge=100,
        le=10_000_000,
        description="how many such entries it keeps at most, the latest ones; some 100 octets each",
    )


class GatewaySettings(AdministratorSettings, TlsSettings):
    """Settings of peep-gateway."""

    host: str = Field("127.0.0.1", description="where PEEP listens (containers: `0.0.0.0`)")
    port: Port = Field(2110, description="PEEP; 0 picks a free port and prints it")
    tls_port: Port = Field(2995, description="PEEP inside TLS, only with a certificate; 0 picks a free port")

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.tls_cert_file and self.tls_port == self.port != 0:
            raise PydanticCustomError("tls_port", "must be another port than PEEP_PORT")
        return self


class ApiSettings(AdministratorSettings):
    """Settings of state-api."""

    http_host: str = Field("127.0.0.1", description="where HTTP listens (containers: `0.0.0.0`)")
    http_port: Port = Field(8110, description="HTTP; 0 picks a free port and prints it")
    http_proxy_trusted: Networks = Field(
        default=[],
        description="networks of the reverse proxies whose `X-Forwarded-For` is trusted, separated by "
        "commas; the limit of connections per client does not apply to them",
    )
    metrics_need_token: bool = Field(
        False, description="`1`: `/metrics` answers only to an API token or an administrator, of any role"
    )


class LocalSettings(BaseModel):
    """Settings that only `peepctl up` reads."""

    model_config = MODEL_CONFIG

    data_dir: str = Field(
        "./data", description="`make up` only: the embedded server's files, sample mail, generated secrets"
    )
    demo: bool = Field(
        True, description="`make up` only: deliver sample mail for a user `demo` on a first start"
    )


ALL_SETTINGS: tuple[type[BaseModel], ...] = (
    CommonSettings,
    TlsSettings,
    Pop3Settings,
    AdministratorSettings,
    GatewaySettings,
    ApiSettings,
    LocalSettings,
)

_Settings = TypeVar("_Settings", bound=BaseModel)


def load(settings_class: type[_Settings]) -> _Settings:
    """Return the settings in the environment.

    Raises `StartError` with one line that names the variable and says what is allowed.
    """
    names = settings_class.model_fields
    # An empty variable is one that is not set.
    given = {name: text for name in names if (text := os.environ.get(variable(name)))}
    given |= _from_files(settings_class, os.environ)
    try:
        return settings_class.model_validate(given)
    except ValidationError as error:
        raise StartError(_explain(error, settings_class)) from None


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each `PEEP_` variable that no program reads, with the likely right name."""
    known = {variable(name) for settings in ALL_SETTINGS for name in settings.model_fields}
    known |= {variable(name) + "_FILE" for name in SECRETS}
    warnings = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in INTERNAL:
            meant = _meant(name.removeprefix(PREFIX), known)
            warnings.append(f"{name} is not a setting of Peep" + (f"; {meant}?" if meant else ""))
    return warnings


def _meant(name: str, known: set[str]) -> str | None:
    """Return what is likely meant by a name without the prefix, which makes all look alike."""
    if name in _CHANGED_WHILE_RUNNING:
        return f"peepctl set {_CHANGED_WHILE_RUNNING[name]}"
    for called, begin in _MEANT.items():
        rest = name.removeprefix(f"{called}_")
        if rest != name and (right := PREFIX + (f"{begin}_" if begin else "") + rest) in known:
            return right
    close = difflib.get_close_matches(name, [one.removeprefix(PREFIX) for one in sorted(known)], 1)
    return PREFIX + close[0] if close else None


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + name.upper()


def _from_files(settings_class: type[BaseModel], environment: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name in SECRETS:
        path = environment.get(variable(name) + "_FILE")
        if not path or name not in settings_class.model_fields:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read().strip()
        except OSError as error:
            raise StartError(f"{variable(name)}_FILE: cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise StartError(f"{variable(name)}_FILE: {path} is not UTF-8 text") from None
        if text and environment.get(variable(name)):
            raise StartError(f"{variable(name)} and {variable(name)}_FILE are both set; give one of them")
        if text:  # an empty file is one that is not set
            given[name] = text
    return given


def _explain(error: ValidationError, settings_class: type[BaseModel]) -> str:
    first = error.errors()[0]
    # A combination that is refused has no location; its error type names the setting to blame.
    name = str(first["loc"][0]) if first["loc"] else first["type"]
    field: FieldInfo = settings_class.model_fields[name]
    if first["type"] == "missing":
        return f"{variable(name)} must be set: {field.description}"
    message = first["msg"].removeprefix("Value error, ")
    value = "" if name in SECRETS or not first["loc"] else f"={first['input']}"
    return f"{variable(name)}{value}: {message[0].lower()}{message[1:]} ({field.description})"
