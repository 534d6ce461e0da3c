"""The server that a command talks to, and what a person is told when that does not go well."""

from __future__ import annotations

import dataclasses
import enum
import getpass
import ssl
import sys

import peep_client
from peep_client import AsyncPeep, Peep
from peep_client.protocol.errors import UNAVAILABLE
from peepctl.settings_layers import WrongSettings
from peepctl.whereabouts import Given, Password, Whereabouts, find


class Exit(enum.IntEnum):
    """The exit codes, as `peepctl --help` tells them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_CONNECTED = 3
    WRONG_LOGIN = 4


EXIT_CODES = {
    Exit.DONE: "done",
    Exit.REFUSED: "the server refused (a negative reply), or cannot do it",
    Exit.USAGE: "wrong usage or settings",
    Exit.NOT_CONNECTED: "cannot connect, or the connection was lost",
    Exit.WRONG_LOGIN: "wrong administrator name or password",
}
"""What each exit code says."""


class Server:
    """Where the options and settings lead; nothing is looked up before it is needed."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._whereabouts: Whereabouts | None = None
        self._has_answered = False

    @property
    def whereabouts(self) -> Whereabouts:
        """Where the server is. Raises `WrongSettings`."""
        if self._whereabouts is None:
            self._whereabouts = find(self._given)
        return self._whereabouts

    def connect(self, *, log_in: bool = True) -> Peep:
        """Return a connection, logged in unless that is not wanted; asks for a password that is missing.

        Raises `WrongSettings` where nobody can be asked, and as `peep_client.connect` does.
        """
        place = self.whereabouts
        user, password = (place.user, self._password()) if log_in else (None, None)
        peep = peep_client.connect(place.host, place.port, user, password, tls=self._tls())
        self._has_answered = True
        return peep

    def connect_async(self) -> AsyncPeep:
        """Return the same for asyncio, to be opened."""
        place = self.whereabouts
        return peep_client.connect_async(
            place.host, place.port, place.user, self._password(), tls=self._tls()
        )

    def connect_silently(self, seconds: float) -> Peep:
        """Return a connection for the completion of a word: nobody is asked, and little time is taken."""
        place = self.whereabouts
        if place.password is None:
            raise WrongSettings("no password is known")
        return peep_client.connect(
            place.host,
            place.port,
            place.user,
            place.password.text,
            tls=self._tls(),
            connect_seconds=seconds,
            silence_seconds=seconds,
        )

    def explain(self, error: peep_client.PeepError | WrongSettings) -> tuple[Exit, str]:
        """Return the exit code of an error, and what to tell of it: what happened and what to do next."""
        match error:
            case WrongSettings() | peep_client.InvalidArgument():
                return Exit.USAGE, str(error)
            case peep_client.WrongLogin():
                return Exit.WRONG_LOGIN, self._wrong_login()
            case peep_client.NotSupported():
                return Exit.REFUSED, f"{error}: this command cannot work with it"
            case peep_client.NegativeReply(code=code) if code == UNAVAILABLE:
                return (
                    Exit.REFUSED,
                    f"the server answers -{code}: Redis is away from it; try again in a moment",
                )
            case peep_client.NegativeReply():
                return Exit.REFUSED, f"the server answers -{error.code}: {error.meaning}"
        return Exit.NOT_CONNECTED, self._not_connected(error)

    def _not_connected(self, error: Exception) -> str:
        address = self.whereabouts.address
        match error:
            case peep_client.CannotConnect(is_certificate=True):
                return (
                    f"{error}. Give its authority's certificate with --ca-file;"
                    " --insecure takes any certificate, whoever may be there"
                )
            case peep_client.CannotConnect():
                inside = " inside TLS" if self.whereabouts.tls else ""
                advice = "--host and --port (or PEEPCTL_HOST) say where it is"
                return f"{error}. Is PEEP{inside} served there? {advice}"
            case peep_client.NotPeep():
                return f"what answers at {address} does not speak PEEP: {error}. PEEP is usually on port 2110"
            case peep_client.TimedOut():
                return f"{address} is silent: {error}. Is PEEP served there?"
            case peep_client.ConnectionLost() if not (self._has_answered or self.whereabouts.tls):
                return f"{address} gave no reply: {error}. If it speaks TLS there, say --tls"
        return f"lost the connection to {address}: {error}"

    def _wrong_login(self) -> str:
        place = self.whereabouts
        source = f"; the password is from {place.password.source}" if place.password else ""
        return (
            f"wrong administrator name or password for {place.user} at {place.address}{source}."
            " --user and PEEPCTL_PASSWORD_FILE (or PEEPCTL_PASSWORD) set others"
        )

    def _password(self) -> str:
        place = self.whereabouts
        if place.password is not None:
            return place.password.text
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise WrongSettings(
                f"no password for {place.user} at {place.address}: set PEEPCTL_PASSWORD_FILE or"
                " PEEPCTL_PASSWORD, or put it into the settings file (one for another host or user is not"
                " sent)"
            )
        text = getpass.getpass(f"Password of {place.user} at {place.address}: ")
        self._whereabouts = dataclasses.replace(place, password=Password(text, "the terminal"))
        return text

    def _tls(self) -> bool | ssl.SSLContext:
        place = self.whereabouts
        if not place.tls:
            return False
        try:
            context = ssl.create_default_context(cafile=place.ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if type(error) is not ssl.SSLError else "no PEM certificates in it"
            raise WrongSettings(f"--ca-file {place.ca_file}: {reason}") from None
        if place.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
