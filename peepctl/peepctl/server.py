"""The server that a command talks to, and the messages for a person when that fails."""

import enum
import functools
import getpass
import ssl
import sys

import peep_client
from peep_client import AsyncPeep, Peep
from peep_client.protocol.errors import UNAVAILABLE
from peep_client.transport import CONNECT_SECONDS, SILENCE_SECONDS
from peepctl.endpoint import ConnectionOptions, Endpoint, Password, find, searched
from peepctl.http_api import (
    PATIENCE_SECONDS,
    ApiError,
    ApiUnreachable,
    ApiWrongLogin,
    HttpApi,
    by_name,
    by_token,
)
from peepctl.sources import WrongSettings


class Exit(enum.IntEnum):
    """The exit codes of `peepctl`."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_CONNECTED = 3
    WRONG_LOGIN = 4
    DIFFERENT = 5


EXIT_CODES = {
    Exit.DONE: "done",
    Exit.REFUSED: "the server refused (a negative reply), or cannot do it, or a question had no yes",
    Exit.USAGE: "wrong usage or settings",
    Exit.NOT_CONNECTED: "cannot connect, or the connection was lost",
    Exit.WRONG_LOGIN: "wrong administrator name or password, or API token",
    Exit.DIFFERENT: "`compare`: a user's mail differs, or could not be compared",
}
"""The meanings of the exit codes, for `peepctl --help` and the reference."""


class Server:
    """The server that options and settings name; nothing is read before it is needed."""

    def __init__(self, options: ConnectionOptions) -> None:
        self._options = options
        self._typed_password: Password | None = None
        self._has_answered = False

    @functools.cached_property
    def endpoint(self) -> Endpoint:
        """Where the server is and as whom to log in. Raises `WrongSettings`."""
        return find(self._options)

    def connect(self, *, log_in: bool = True) -> Peep:
        """Return a connection, logged in unless `log_in` is off; prompts for a missing password.

        Raises `WrongSettings` if there is no terminal to prompt at, and what `peep_client.connect` raises.
        """
        endpoint = self.endpoint
        user, password = (endpoint.user, self._password(endpoint.address)) if log_in else (None, None)
        peep = peep_client.connect(
            endpoint.host,
            endpoint.port,
            user,
            password,
            tls=self._tls(),
            connect_seconds=endpoint.timeout or CONNECT_SECONDS,
            silence_seconds=endpoint.timeout or SILENCE_SECONDS,
        )
        self._has_answered = True
        return peep

    def api(self, patience_seconds: float = PATIENCE_SECONDS) -> HttpApi:
        """Return the HTTP API, not yet connected; prompts for a missing password. Raises `WrongSettings`.

        It is asked again for so long while it is away for a moment, unless `--timeout` says otherwise.
        """
        endpoint = self.endpoint
        if endpoint.token is not None:
            authorization = by_token(endpoint.token.text)
        else:
            authorization = by_name(endpoint.user, self._password(endpoint.http))
        patience = endpoint.timeout or patience_seconds
        return HttpApi(endpoint.http, authorization, self._tls_context, patience, endpoint.timeout)

    def connect_async(self) -> AsyncPeep:
        """Return a connection for asyncio, not yet open; prompts for a missing password."""
        endpoint = self.endpoint
        return peep_client.connect_async(
            endpoint.host,
            endpoint.port,
            endpoint.user,
            self._password(endpoint.address),
            tls=self._tls(),
            connect_seconds=endpoint.timeout or CONNECT_SECONDS,
            silence_seconds=endpoint.timeout or SILENCE_SECONDS,
        )

    def connect_silently(self, seconds: float) -> Peep:
        """Return a connection for completion: without a prompt, and within `seconds` for each step."""
        endpoint = self.endpoint
        if endpoint.password is None or not endpoint.password.may_go_to(endpoint.address):
            raise WrongSettings("no password is known")
        return peep_client.connect(
            endpoint.host,
            endpoint.port,
            endpoint.user,
            endpoint.password.text,
            tls=self._tls(),
            connect_seconds=seconds,
            silence_seconds=seconds,
        )

    def explain(self, error: peep_client.PeepError | ApiError | WrongSettings) -> tuple[Exit, str]:
        """Return the exit code for an error, and a line that says what happened and what to do."""
        match error:
            case WrongSettings() | peep_client.InvalidArgument():
                return Exit.USAGE, str(error)
            case ApiWrongLogin() if self.endpoint.token is not None:
                return Exit.WRONG_LOGIN, (
                    f"{error} does not take the API token from {self.endpoint.token.source}: it was revoked, "
                    "has ended, or does not serve this network; peepctl tokens list shows them"
                )
            case ApiWrongLogin():
                return Exit.WRONG_LOGIN, self._wrong_login(str(error))
            case peep_client.WrongLogin():
                return Exit.WRONG_LOGIN, self._wrong_login(self.endpoint.address)
            case ApiUnreachable():
                advice = self._where_to_look("--http (or PEEPCTL_HTTP) sets its address")
                return Exit.NOT_CONNECTED, f"{error}. Is the HTTP API served there? {advice}"
            case ApiError():
                return Exit.REFUSED, str(error)
            case peep_client.NotSupported():
                return Exit.REFUSED, f"{error}, which this command needs"
            case peep_client.NegativeReply(code=code) if code == UNAVAILABLE:
                return (
                    Exit.REFUSED,
                    f"the server answers -{code}: it cannot reach Redis; try again in a moment",
                )
            case peep_client.NegativeReply():
                return Exit.REFUSED, f"the server answers -{error.code}: {error.meaning}"
        return Exit.NOT_CONNECTED, self._not_connected(error)

    def _not_connected(self, error: Exception) -> str:
        address = self.endpoint.address
        match error:
            case peep_client.CannotConnect(is_certificate=True):
                return (
                    f"{error}. Give its authority's certificate with --ca-file;"
                    " --insecure accepts any certificate, so anyone could be the server"
                )
            case peep_client.CannotConnect():
                inside = " inside TLS" if self.endpoint.tls else ""
                advice = self._where_to_look("--host and --port (or PEEPCTL_HOST) set the address")
                return f"{error}. Is PEEP{inside} served there? {advice}"
            case peep_client.NotPeep():
                return f"the server at {address} does not speak PEEP: {error}. PEEP is usually on port 2110"
            case peep_client.TimedOut():
                return f"{address} is silent: {error}. Is PEEP served there?"
            case peep_client.ConnectionLost() if not (self._has_answered or self.endpoint.tls):
                return f"{address} gave no reply: {error}. If it speaks TLS there, use --tls"
        return f"lost the connection to {address}: {error}"

    def _where_to_look(self, advice: str) -> str:
        return "; ".join(filter(None, (searched(self.endpoint.host), advice)))

    def _wrong_login(self, address: str) -> str:
        password = self._known_password(address)
        source = f"; the password is from {password.source}" if password else ""
        return (
            f"wrong administrator name or password for {self.endpoint.user} at {address}{source}."
            " --user and PEEPCTL_PASSWORD_FILE (or PEEPCTL_PASSWORD) set others. PEEP takes only"
            " administrators with the role all"
        )

    def _known_password(self, address: str) -> Password | None:
        known = (self.endpoint.password, self._typed_password)
        return next((one for one in known if one is not None and one.may_go_to(address)), None)

    def _password(self, address: str) -> str:
        endpoint = self.endpoint
        if known := self._known_password(address):
            return known.text
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise WrongSettings(self._no_password(address))
        if endpoint.password is not None:
            print(f"peepctl: {_kept_back(endpoint.password)}", file=sys.stderr)
        self._typed_password = Password(
            getpass.getpass(f"Password of {endpoint.user} at {address}: "), "the terminal"
        )
        return self._typed_password.text

    def _no_password(self, address: str) -> str:
        endpoint = self.endpoint
        missing = f"no password for {endpoint.user} at {address}: "
        if endpoint.password is not None:
            return (
                f"{missing}{_kept_back(endpoint.password)}. For this one give --user (or PEEPCTL_USER) and"
                " PEEPCTL_PASSWORD_FILE (or PEEPCTL_PASSWORD)"
            )
        has_token = endpoint.token is not None
        only_http = "; an API token is for the HTTP API alone, and this is asked over PEEP"
        looked = f"; {where}" if (where := searched(endpoint.host)) else ""
        return (
            f"{missing}set PEEPCTL_PASSWORD_FILE or PEEPCTL_PASSWORD, or put it into the settings file"
            f" (a password for another host or user is not sent{only_http if has_token else ''}){looked}"
        )

    def _tls(self) -> bool | ssl.SSLContext:
        endpoint = self.endpoint
        return self._tls_context() if endpoint.tls else False

    def _tls_context(self) -> ssl.SSLContext:
        endpoint = self.endpoint
        try:
            context = ssl.create_default_context(cafile=endpoint.ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if type(error) is not ssl.SSLError else "no PEM certificates in it"
            raise WrongSettings(f"--ca-file {endpoint.ca_file}: {reason}") from None
        if endpoint.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _kept_back(password: Password) -> str:
    return f"the password in {password.source} is sent to {', '.join(password.only_to or ())} alone"
