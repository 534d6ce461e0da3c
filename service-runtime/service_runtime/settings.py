"""Every setting of Peep: an environment variable `PEEP_X` each, documented by its own field.

The documentation's table is made from these classes. A variable that is wrong or missing ends the
program with one line that names it and says what is allowed.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service_runtime.errors import StartError
from service_runtime.maildir_layout import DEFAULT_LAYOUT, MaildirLayout
from service_runtime.processors import usable_processors

PREFIX = "PEEP_"
SECRETS = ("admins", "redis_url")
"""Settings that may also be read from a file, named by `PEEP_X_FILE`."""

INTERNAL = ("PEEP_READY_FD", "PEEP_PARENT_FD", "PEEP_ANSWER_FD", "PEEP_WORKER", "PEEP_WORKER_SOCKETS")
"""Variables by which our own supervisor talks to its children."""

REDIS_SCHEMES = ("redis", "rediss", "unix")
FAILOVER_SCHEMES = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

_HOST_AND_PORT = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")

_ADMINISTRATOR_PASSWORD = re.compile(r"[!-~][ -~]{0,127}")

LONGEST_PATH_OCTETS = 509

MOST_WORKERS = 256

Port = Annotated[int, Field(ge=0, le=65535)]


def _redis_url(text: str) -> str:
    if text.startswith(tuple(f"{scheme}://" for scheme in FAILOVER_SCHEMES)):
        return _failover_url(text)
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        raise ValueError("must be a well-formed URL") from None  # its own text may quote the password
    if scheme not in REDIS_SCHEMES:
        raise ValueError(
            "must begin with redis://, rediss:// or unix://, or with redis+sentinel:// or redis+cluster:// "
            "(inside TLS: rediss+sentinel://, rediss+cluster://)"
        )
    return text


def _failover_url(text: str) -> str:
    # Several hosts stand in it, which urlsplit does not foresee; what no message may quote is the password.
    scheme, _, rest = text.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    is_sentinel = scheme.endswith("sentinel")
    for host in authority.rpartition("@")[2].split(","):
        if not _HOST_AND_PORT.fullmatch(host):
            raise ValueError(
                f"must name its {'sentinels' if is_sentinel else 'nodes'} as host:port,host:port"
            )
    if is_sentinel and not path.strip("/"):
        raise ValueError("must end with the name that the sentinels give the master, after a slash")
    return text


def _administrators(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = [pair.strip().partition(":") for pair in re.split(r"[,\r\n]", text) if pair.strip()]
    for name, _, password in pairs:
        if not (_is_typed_over_peep(name) and _ADMINISTRATOR_PASSWORD.fullmatch(password)):
            raise ValueError(
                "must be name:password pairs separated by commas or line ends, in printable ASCII: names "
                "without spaces, passwords not beginning with one, each of at most 128 characters"
            )
    return {name: password for name, _, password in pairs}


def _is_typed_over_peep(text: str) -> bool:
    # What the PEEP command `a` can carry: 1 to 128 octets of printable ASCII without space.
    return 1 <= len(text) <= 128 and all("!" <= character <= "~" for character in text)


def administrators_without_peep(administrators: Mapping[str, str]) -> list[str]:
    """Return who can sign in over HTTP only: PEEP's `a` cannot carry a password with a space."""
    return sorted(name for name, password in administrators.items() if not _is_typed_over_peep(password))


def _absolute_paths(text: object) -> object:
    if not isinstance(text, str):
        return text
    paths = [path for path in text.split(",") if path]
    if not all(path.startswith("/") for path in paths):
        raise ValueError("must be absolute paths separated by commas")
    return paths


def _absolute_path(text: str) -> str:
    # `m?` shows it in one line of at most 512 octets.
    if not (text.startswith("/") and text.isprintable() and len(text.encode()) <= LONGEST_PATH_OCTETS):
        raise ValueError(f"must be an absolute path of at most {LONGEST_PATH_OCTETS} printable octets")
    return text


def _maildir_layout(text: str) -> str:
    MaildirLayout(text)
    return text


Layout = Annotated[str, AfterValidator(_maildir_layout)]


def _networks(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return [ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip()]
    except ValueError:
        raise ValueError("must be addresses or networks separated by commas, as 10.0.0.0/8,::1") from None


Networks = Annotated[
    list[ipaddress.IPv4Network | ipaddress.IPv6Network], NoDecode, BeforeValidator(_networks)
]


class CommonSettings(BaseSettings):
    """What all three services read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
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
        description="before that, how long POP3 and HTTP go on as usual while the checks of proxies fail "
        "already, so that they turn elsewhere",
    )
    trusted_networks: Networks = Field(
        default=[],
        description="networks whose wrong passwords are never slowed, separated by commas: of a webmail, of "
        "a load balancer that does not tell its clients' addresses",
    )
    mail_dir: Annotated[str, AfterValidator(_absolute_path)] = Field(
        "/var/mail/peep",
        description="the mail directory until `m=` changes it, where no POP3 process lives with another "
        "(`make up`: `DATA_DIR/mail`)",
    )


class TlsSettings(CommonSettings):
    """What the services read that speak TLS where there is a certificate."""

    tls_cert_file: str | None = Field(
        None, description="PEM file of the certificate and its chain; changed files are taken up as they are"
    )
    tls_key_file: str | None = Field(
        None, description="PEM file of its private key, where that is not in the certificate's file"
    )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.tls_key_file and not self.tls_cert_file:
            raise PydanticCustomError("tls_key_file", "needs PEEP_TLS_CERT_FILE beside it")
        return self


class Pop3Settings(TlsSettings):
    """What pop3-service reads."""

    pop3_host: str = Field("127.0.0.1", description="where POP3 listens (containers: `0.0.0.0`)")
    pop3_port: Port = Field(1110, description="POP3; 0 picks a free port and prints it")
    pop3s_port: Port = Field(
        1995, description="POP3 inside TLS, only with a certificate; 0 picks a free port"
    )
    pop3_share_ports: bool = Field(
        False,
        description="`1`: other POP3 services of the same system user may listen on the same ports (Linux), "
        "so that one is restarted while the others serve",
    )
    require_tls: bool = Field(False, description="`1`: take no passwords in the clear before TLS")
    proxy_protocol: bool = Field(
        False, description="`1`: every connection begins with a PROXY header, version 1 or 2"
    )
    proxy_trusted: Networks = Field(
        default=[], description="networks of the proxies whose headers are believed, separated by commas"
    )
    max_connections_per_address: int = Field(
        0, ge=0, le=1_000_000, description="POP3 connections of one client address over all replicas; 0: any"
    )
    login_delay: int = Field(
        0, ge=0, le=86_400, description="seconds between two logins of one user (LOGIN-DELAY); 0: none"
    )
    pop3_workers: int = Field(
        default_factory=lambda: min(usable_processors(), MOST_WORKERS),
        ge=1,
        le=MOST_WORKERS,
        description="POP3 processes that share the port (default: one a core that the service may use, "
        "by affinity and by the quota of its control group, rounded up)",
    )
    maildir_layout: Layout = Field(
        DEFAULT_LAYOUT,
        description="where below the mail directory a user's maildir lies: names and `{user}`, `{local}`, "
        "`{domain}`, as `{domain}/{local}/Maildir`; the last two are what stands around the name's last `@`",
    )
    mail_roots: Annotated[list[str], NoDecode, BeforeValidator(_absolute_paths)] = Field(
        default=[],
        description="where given, `m=` takes only paths at or below one of these, and links to maildirs "
        "there are followed that root or the service's user has made",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.require_tls and not self.tls_cert_file:
            raise PydanticCustomError("require_tls", "needs a certificate: set PEEP_TLS_CERT_FILE")
        if self.proxy_protocol and not self.proxy_trusted:
            raise PydanticCustomError("proxy_protocol", "needs the proxies' networks: set PEEP_PROXY_TRUSTED")
        if self.tls_cert_file and self.pop3s_port == self.pop3_port != 0:
            raise PydanticCustomError("pop3s_port", "must be another port than PEEP_POP3_PORT")
        return self


class AdministratorSettings(CommonSettings):
    """What both front ends for administrators read."""

    admins: Annotated[dict[str, str], NoDecode, BeforeValidator(_administrators)] = Field(
        default={},
        description="PEEP and HTTP administrators, `name:password` pairs separated by commas or line ends; a "
        "password with a space is for HTTP alone, as PEEP cannot carry it; "
        "unset: the first start makes one `admin` and prints its password once",
        repr=False,
    )


class GatewaySettings(AdministratorSettings, TlsSettings):
    """What peep-gateway reads."""

    host: str = Field("127.0.0.1", description="where PEEP listens (containers: `0.0.0.0`)")
    port: Port = Field(2110, description="PEEP; 0 picks a free port and prints it")
    tls_port: Port = Field(2995, description="PEEP inside TLS, only with a certificate; 0 picks a free port")

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.tls_cert_file and self.tls_port == self.port != 0:
            raise PydanticCustomError("tls_port", "must be another port than PEEP_PORT")
        return self


class ApiSettings(AdministratorSettings):
    """What state-api reads."""

    http_host: str = Field("127.0.0.1", description="where HTTP listens (containers: `0.0.0.0`)")
    http_port: Port = Field(8110, description="HTTP; 0 picks a free port and prints it")
    http_proxy_trusted: Networks = Field(
        default=[],
        description="networks of the reverse proxies whose `X-Forwarded-For` is believed, separated by "
        "commas; their connections are not counted as those of one client",
    )


class LocalSettings(BaseSettings):
    """What `peepctl up` reads besides the services' settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    data_dir: str = Field(
        "./data", description="`make up` only: the embedded server's files, sample mail, generated secrets"
    )
    demo: bool = Field(
        True, description="`make up` only: deliver sample mail for a user `demo` on a first start"
    )


ALL_SETTINGS: tuple[type[BaseSettings], ...] = (
    CommonSettings,
    TlsSettings,
    Pop3Settings,
    AdministratorSettings,
    GatewaySettings,
    ApiSettings,
    LocalSettings,
)

_Settings = TypeVar("_Settings", bound=BaseSettings)


def load(settings_class: type[_Settings]) -> _Settings:
    """Return the settings that the environment gives.

    Raises `StartError` with one line that names the variable and says what is allowed.
    """
    given = _from_files(settings_class, os.environ)
    try:
        return settings_class(**given)
    except ValidationError as error:
        raise StartError(_explain(error, settings_class)) from None


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each `PEEP_` variable that nobody reads, with the likely right name."""
    known = {variable(name) for settings in ALL_SETTINGS for name in settings.model_fields}
    known |= {variable(name) + "_FILE" for name in SECRETS}
    warnings = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in INTERNAL:
            close = difflib.get_close_matches(name, known, 1)
            warnings.append(f"{name} is no setting of Peep" + (f"; {close[0]}?" if close else ""))
    return warnings


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + name.upper()


def _from_files(settings_class: type[BaseSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in SECRETS:
        path = environment.get(variable(name) + "_FILE")
        if not path or name not in settings_class.model_fields:
            continue
        if environment.get(variable(name)):
            raise StartError(f"{variable(name)} and {variable(name)}_FILE are both set; give one of them")
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read().strip()
        except OSError as error:
            raise StartError(f"{variable(name)}_FILE: cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise StartError(f"{variable(name)}_FILE: {path} is not UTF-8 text") from None
        if text:
            given[name] = text
    return given


def _explain(error: ValidationError, settings_class: type[BaseSettings]) -> str:
    first = error.errors()[0]
    # What does not fit together has no place of its own: it is told under the setting that it is named for.
    name = str(first["loc"][0]) if first["loc"] else first["type"]
    field: FieldInfo = settings_class.model_fields[name]
    if first["type"] == "missing":
        return f"{variable(name)} must be set: {field.description}"
    message = first["msg"].removeprefix("Value error, ")
    value = "" if name in SECRETS or not first["loc"] else f"={first['input']}"
    return f"{variable(name)}{value}: {message[0].lower()}{message[1:]} ({field.description})"
