"""All of Peep as processes: Redis, the POP3 service with a certificate, state-api."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.api_service import ApiService
from support.certificates import Authority
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process
from support.redis_server import RedisServer

LINE = b"It was a bright cold day in April, and the clocks were striking thirteen.\r\n"
COUNTERS_SECONDS = 0.25
"""So often a page gets new figures."""

POP3_PERIODS = {
    "state_store.instance.exchanges.RENEWAL_SECONDS": 0.5,
    "state_store.instance.exchanges.CHANGED_ROW_SECONDS": 0.1,
    "state_store.instance.live_instance.CHANGED_ROW_SECONDS": 0.1,
    "state_store.instance.outbox.CHANGED_ROW_SECONDS": 0.1,
}
API_PERIODS = {
    "state_api.event_feed.COUNTERS_SECONDS": COUNTERS_SECONDS,
    "state_api.event_feed.POLL_SECONDS": 0.1,
    "state_api.event_feed.RECHECK_SECONDS": 0.1,
    "state_api.user_list.FRESH_SECONDS": 0.2,
}
"""So soon a page shows what there is to be seen: how late it may be is the subject of other tests."""

MESSAGE = b"From: alice@example.org\r\nSubject: A message\r\n\r\n" + 400 * LINE


@dataclass(frozen=True)
class Peep:
    """Redis, POP3 and HTTP, and the authority that has issued the POP3 service's certificate."""

    redis: RedisServer
    pop3: Pop3Process
    api: ApiService
    authority: Authority

    def add_user(self, name: str, messages: int = 3) -> str:
        """Add a user with so many messages, by HTTP: a browser's loop runs in this thread."""
        self.api.add_user(name)
        self.pop3.deliver(name, *[MESSAGE] * messages)
        return name

    def log_in(self, name: str, *, encrypted: bool = False) -> Pop3Client:
        """Open a session."""
        client = self.pop3.connect(tls=self.authority.client_context() if encrypted else None)
        return client.log_in(name, PASSWORD)


def start_peep(stack: ExitStack, folder: Path) -> Peep:
    """Start everything; it ends with `stack`."""
    authority = Authority()
    certificate, key = authority.issue(folder)
    redis = stack.enter_context(RedisServer())
    pop3 = stack.enter_context(
        Pop3Process(
            redis.url,
            folder,
            periods=POP3_PERIODS,
            PEEP_TLS_CERT_FILE=str(certificate),
            PEEP_TLS_KEY_FILE=str(key),
        )
    )
    api = stack.enter_context(ApiService(redis.url, folder, periods=API_PERIODS))
    return Peep(redis, pop3, api, authority)
