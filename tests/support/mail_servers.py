"""Mail servers beside Peep in containers, set up by what the pages in docs/delivery say."""

import json
import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from service_runtime.maildir_layout import MaildirLayout
from support.containers import PROJECT_FOLDER, Containers
from support.pop3_process import PASSWORD, Pop3Client
from support.redis_kinds import free_ports

PAGES = PROJECT_FOLDER / "docs" / "delivery"
SERVERS = ("postfix", "dovecot", "exim")
LAYOUTS = ("{user}", "{domain}/{local}/Maildir")

ON_THE_PAGES = ("ann@example.org", "bob@example.net")
USERS = (*ON_THE_PAGES, *(f"reader{number}@example.org" for number in range(1, 5)))
"""Who has a mailbox in every mail server, and is a user of Peep."""

MAIL_DIRECTORY = "/var/mail/peep"
DELIVERY_SECONDS = 60


def configuration(page: Path, layout: str) -> dict[str, str]:
    """Return the files that a page tells to write for one layout, by their paths.

    A block of the page whose first line is `# /a/path` is such a file. What stands under a heading
    `Layout ...` is for that layout only.
    """
    files: dict[str, str] = {}
    for section in re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE):
        heading = section.partition("\n")[0]
        if heading.startswith("Layout") and heading != f"Layout `{layout}`":
            continue
        files |= dict(re.findall(r"^```\n# (/\S+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    return files


def for_all_users(text: str) -> str:
    """Return a list of mailboxes as a page has it, with the row of its first user made for all `USERS`."""
    first = ON_THE_PAGES[0]
    rows = [line for line in text.splitlines() if line.startswith(first)]
    if not rows:
        return text
    others = [user.partition("@")[0] for user in USERS if user not in ON_THE_PAGES]
    return text + "".join(f"{rows[0].replace('ann', other)}\n" for other in others)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the mail volume."""

    path: str
    is_folder: bool
    owner: int
    group: int
    permissions: int

    @property
    def is_message(self) -> bool:
        """Whether it is a message, and none of the files that a mail server keeps for itself."""
        return not self.is_folder and self.path.split("/")[-2] in {"new", "cur"}


class DeliveringContainers(Containers):
    """Peep with one layout of its maildirs, and the three mail servers on the same volume."""

    def __init__(self, folder: Path, layout: str) -> None:
        ports = free_ports(len(SERVERS))
        super().__init__(
            PROJECT_FOLDER / "tests/support/mta/compose.yml",
            PEEP_MAILDIR_LAYOUT=layout,
            PEEP_TEST_PAGES=str(folder),
            **{f"PEEP_TEST_{server.upper()}": str(port) for server, port in zip(SERVERS, ports, strict=True)},
        )
        self.layout = MaildirLayout(layout)
        self.ports = dict(zip(SERVERS, ports, strict=True))
        for server in SERVERS:
            for path, text in configuration(PAGES / f"{server}.md", layout).items():
                file = folder / server / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(for_all_users(text))

    def add_users(self) -> None:
        """Make all `USERS` users of Peep, with the password `PASSWORD`."""
        with self._http() as client:
            for user in USERS:
                answer = client.post("/v1/users", json={"username": user, "password": PASSWORD})
                answer.raise_for_status()

    def counters(self) -> dict[str, int]:
        """Return Peep's counters."""
        with self._http() as client:
            answer = client.get("/v1/counters")
            answer.raise_for_status()
            counters: dict[str, int] = answer.json()
            return counters

    def _http(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.http}", auth=("admin", self.generated_password()), timeout=30
        )

    def smtp(self, server: str) -> smtplib.SMTP:
        """Connect to a mail server."""
        connect = smtplib.LMTP if server == "dovecot" else smtplib.SMTP
        return connect("127.0.0.1", self.ports[server], timeout=DELIVERY_SECONDS)

    def send(self, server: str, message: bytes, *recipients: str) -> None:
        """Hand a message, its lines ended by CRLF, to a mail server."""
        with self.smtp(server) as client:
            client.sendmail("sender@example.com", recipients, message, mail_options=["BODY=8BITMIME"])

    def log_in(self, username: str) -> Pop3Client:
        """Log in to Peep."""
        return Pop3Client(("127.0.0.1", self.pop3)).log_in(username)

    def log_in_to(self, username: str, messages: int) -> Pop3Client:
        """Log in to Peep once the maildrop holds so many messages; fail when that takes too long."""
        deadline = time.monotonic() + DELIVERY_SECONDS
        while True:
            client = self.log_in(username)
            count = number_of_messages(client)
            if count == messages:
                return client
            client.quit()
            assert count < messages, f"{count} messages"
            if time.monotonic() > deadline:
                raise AssertionError(f"{count} messages\n{self.compose('logs', '--tail', '50', *SERVERS)}")

    def fetch_and_remove(self, username: str) -> bytes:
        """Return the one message that the maildrop holds or is about to hold, and remove it."""
        with self.log_in_to(username, 1) as client:
            message = retrieved(client, 1)
            assert client.ask("DELE 1").startswith(b"+OK")
            assert client.quit().startswith(b"+OK")
        return message

    def entries(self, username: str) -> Iterator[Entry]:
        """Give what lies between the mail directory and a user's messages, and in the user's maildir."""
        script = (
            "import json, os, stat, sys; root, below = sys.argv[1:]; seen = []\n"
            "def see(path):\n"
            "    status = os.lstat(path); is_folder = stat.S_ISDIR(status.st_mode)\n"
            "    seen.append((path, is_folder, status.st_uid, status.st_gid, status.st_mode & 0o777))\n"
            "path = root; see(path)\n"
            "for name in below.split('/'): path += '/' + name; see(path)\n"
            "for folder, folders, files in os.walk(path):\n"
            "    for name in folders + files: see(folder + '/' + name)\n"
            "print(json.dumps(seen))"
        )
        folder = self.layout.folder_of(username)
        assert folder is not None
        python = ("/opt/venv/bin/python", "-c", script, MAIL_DIRECTORY, folder)
        for row in json.loads(self.compose("exec", "--no-TTY", "pop3-service", *python)):
            yield Entry(*row)


def number_of_messages(client: Pop3Client) -> int:
    """Return how many messages the session's maildrop holds."""
    return int(client.ask("STAT").split()[1])


def retrieved(client: Pop3Client, number: int) -> bytes:
    """Return a message as it is: without byte-stuffing."""
    return b"".join(line.removeprefix(b".") for line in client.ask_lines(f"RETR {number}"))


def added_fields(fetched: bytes, sent: bytes) -> set[str]:
    """Return the names of the fields that a mail server put on top of what was sent.

    Fails where anything else is not as it was sent.
    """
    assert fetched.endswith(sent), f"sent {sent!r}\nfetched {fetched!r}"
    on_top = fetched.removesuffix(sent).decode()
    assert on_top.endswith("\r\n")
    fields = re.sub(r"\r\n[ \t]", " ", on_top).splitlines()
    return {re.match(r"([A-Za-z-]+): ", field)[1] for field in fields}  # type: ignore[index]
