"""Programs that fetch a user's mail and remember what they have fetched: mpop, fetchmail, getmail."""

from support.clients import ClientHome, Way, files_in, mail_in, without_headers
from support.pop3_process import PASSWORD

Address = tuple[str, int]

# fetchmail's manual, EXIT CODES: there was no mail, or none that had not been seen.
NO_NEW_MAIL = 1

# For each message getmail forks, then makes itself ready to hear of the child's end, then waits for that.
# On a busy machine a child may have ended before: so each one lets its parent come that far first.
HOLD_CHILDREN = """
import os, time
def let_parent_wait():
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(f"/proc/{os.getppid()}/stat") as status:
            if status.read().rpartition(")")[2].split()[0] == "S":
                break
        time.sleep(0.0005)
os.register_at_fork(after_in_child=let_parent_wait)
"""


class Mpop:
    """One user's mpop with a maildir of its own."""

    def __init__(
        self,
        home: ClientHome,
        address: Address,
        username: str,
        *,
        way: Way = Way.PLAIN,
        auth: str = "user",
        pipelining: str = "on",
        keep: str = "on",
    ) -> None:
        self._home = home
        self._maildir = home.make_maildir("stored")
        host, port = address
        self._settings = home.write(
            "mpoprc",
            "account default",
            f"host {host}",
            f"port {port}",
            f"user {username}",
            f"password {PASSWORD}",
            f"auth {auth}",
            f"tls {'off' if way is Way.PLAIN else 'on'}",
            f"tls_starttls {'on' if way is Way.STLS else 'off'}",
            f"tls_trust_file {home.ca_file}",
            f"pipelining {pipelining}",
            f"keep {keep}",
            "uidls_file ~/uidls",
            f"delivery maildir {self._maildir}",
        )

    def run(self) -> None:
        """Fetch what is new."""
        done = self._home.run("mpop", "--quiet", "--file", self._settings)
        assert done.returncode == 0, done.stdout[-2000:]

    def stored(self) -> list[bytes]:
        """Return what was stored, without the Received header that mpop adds (`received_header`)."""
        return without_headers(mail_in(self._maildir), b"Received: from 127.0.0.1 (localhost [127.0.0.1])")


class Fetchmail:
    """One user's fetchmail: each message becomes a file, by a delivery command as in its manual."""

    def __init__(
        self, home: ClientHome, address: Address, username: str, *options: str, way: Way = Way.PLAIN
    ) -> None:
        self._home = home
        self._folder = home.make_folder("stored")
        host, port = address
        # It looks for a certificate's names, never for addresses.
        tls = ["sslproto 'TLS1.2+'", "sslcertck", "sslcommonname localhost", f"sslcertfile '{home.ca_file}'"]
        # Without `ssl`, a named protocol makes STLS obligatory.
        security = {Way.PLAIN: ["sslproto ''"], Way.STLS: tls, Way.POP3S: ["ssl", *tls]}[way]
        self._settings = home.write(
            "fetchmailrc",
            f"poll {host} service {port} protocol pop3 uidl auth password",
            f"user '{username}' there with password '{PASSWORD}' is 'nobody' here",
            *options,
            *security,
            # The shell's own number is the file's name, and -C refuses to write over another's.
            f"mda 'set -C; exec cat >{self._folder}/$$'",
        )

    def run(self) -> int:
        """Poll once; return the exit code."""
        done = self._home.run("fetchmail", "--nosyslog", "--fetchmailrc", self._settings)
        assert done.returncode in (0, NO_NEW_MAIL), done.stdout[-2000:]
        return done.returncode

    def stored(self) -> list[bytes]:
        """Return what was stored, without the Received header that fetchmail adds as any MTA does."""
        return without_headers(files_in(self._folder), b"Received: from 127.0.0.1 [127.0.0.1]")


class Getmail:
    """One user's getmail with a maildir of its own."""

    def __init__(self, home: ClientHome, address: Address, username: str, way: Way = Way.PLAIN) -> None:
        self._home = home
        self._maildir = home.make_maildir("stored")
        host, port = address
        is_inside_tls = way is Way.POP3S
        self._retriever = [
            "[retriever]",
            f"type = {'SimplePOP3SSLRetriever' if is_inside_tls else 'SimplePOP3Retriever'}",
            f"server = {host}",
            f"port = {port}",
            f"username = {username}",
            f"password = {PASSWORD}",
            *([f"ca_certs = {home.ca_file}"] if is_inside_tls else []),
        ]

    def run(self, *, delete: bool = False) -> bytes:
        """Fetch what is new; return what it says about that."""
        self._home.write(
            "getmailrc",
            *self._retriever,
            "[destination]",
            "type = Maildir",
            f"path = {self._maildir}/",
            "[options]",
            "read_all = false",
            f"delete = {delete}",
        )
        self._home.write("sitecustomize.py", HOLD_CHILDREN)
        done = self._home.run("getmail", "--getmaildir", self._home.path, PYTHONPATH=str(self._home.path))
        assert done.returncode == 0, done.stdout[-2000:]
        return done.stdout

    def stored(self) -> list[bytes]:
        """Return what was stored, without the two headers that getmail adds (`delivered_to`, `received`).

        It also writes Return-Path anew, at the top, with what the message's own one says.
        """
        return without_headers(
            mail_in(self._maildir), b"Delivered-To: unknown", b"Received: from 127.0.0.1 (127.0.0.1:"
        )
