"""Looks at the files of remembered listings, away from any login, which looks at the folders alone (D67)."""

import asyncio

import structlog

from pop3_service.disk import DiskThreads
from pop3_service.maildir import MaildirPath, Maildirs

VERIFICATION_SECONDS = 300.0
"""The time between two verifications of the listings that logins have used meanwhile."""

PATIENCE_SECONDS = 20.0
"""How long a slow disk keeps the listings of other disks from being verified."""

REST = 9
"""After each listing nothing is verified for this many times as long as it took: a tenth of a thread."""

log = structlog.get_logger()


class Verification:
    """Verifies the remembered listings of one process, one at a time, in the threads of their disks."""

    def __init__(self, maildirs: Maildirs, disk: DiskThreads) -> None:
        self._maildirs = maildirs
        self._disk = disk

    async def run(self) -> None:
        """Verify what has been used, every few minutes, until it is cancelled."""
        while True:
            await asyncio.sleep(VERIFICATION_SECONDS)
            await self.verify_used()

    async def verify_used(self) -> None:
        """Verify the listings that logins have used since the last call."""
        loop = asyncio.get_running_loop()
        for path in self._maildirs.used():
            began = loop.time()
            await self._verify(path)
            await asyncio.sleep(REST * (loop.time() - began))

    async def _verify(self, path: MaildirPath) -> None:
        work = self._disk.begin(self._maildirs.device(path), self._maildirs.verify, path)
        await asyncio.wait((work.answer,), timeout=PATIENCE_SECONDS)
        work.withdraw()  # if it has not begun; what hangs goes on in its thread
        if work.answer.done() and not work.answer.cancelled() and (error := work.answer.exception()):
            log.error("bug", exc_info=error)
