"""Listing maildirs in threads: each by one at a time, and nobody waits for ever."""

import asyncio
from collections.abc import Callable

from pop3_service.disk import DiskThreads, Work
from pop3_service.maildir import Maildir, MaildirPath, Maildirs, MaildirUnreadable
from pop3_service.protocol.maildrop import MaildropContents

LISTING_SECONDS = 20.0
"""How long a client waits for its maildrop: less than clients' own patience, mostly 30 s or more. The listing
goes on, and who comes again finds it done, or waits for the same one."""


class Listings:
    """Opens and lists maildirs for the sessions of one process.

    Its methods raise MaildirUnreadable when the maildir cannot be listed, or takes longer than
    LISTING_SECONDS.
    """

    def __init__(self, maildirs: Maildirs, disk: DiskThreads) -> None:
        self._maildirs = maildirs
        self._disk = disk
        self._under_way: dict[MaildirPath, Work[MaildropContents | None]] = {}

    async def contents_if_locked(self, maildir: Maildir, lock_name: str) -> MaildropContents | None:
        """Open `maildir`; return what it holds if this is what has been locked, or it is not there at all."""
        return await self._one_at_a_time(maildir, _contents_if_locked, self._maildirs, maildir, lock_name)

    async def contents(self, maildir: Maildir) -> MaildropContents:
        """Return what `maildir` holds."""
        contents = await self._one_at_a_time(maildir, self._maildirs.scan, maildir)
        assert contents is not None
        return contents

    async def _one_at_a_time(
        self, maildir: Maildir, do: Callable[..., MaildropContents | None], *arguments: object
    ) -> MaildropContents | None:
        path = maildir.path
        until = asyncio.get_running_loop().time() + LISTING_SECONDS
        # What that finds is not taken as it is: mail may have come since it began. But little is left to do.
        while (under_way := self._under_way.get(path)) is not None:
            await _wait(under_way, until)
        work = self._disk.begin(self._maildirs.lane(maildir), do, *arguments)
        self._under_way[path] = work
        work.answer.add_done_callback(lambda answer: self._over(path, answer))
        await _wait(work, until)
        return work.answer.result()

    def _over(self, path: MaildirPath, answer: "asyncio.Future[MaildropContents | None]") -> None:
        del self._under_way[path]
        if not answer.cancelled():
            answer.exception()  # nobody may be there any more who wants to know


async def _wait(work: Work[MaildropContents | None], until: float) -> None:
    """Wait until `work` is done, whatever comes of it."""
    await asyncio.wait((work.answer,), timeout=until - asyncio.get_running_loop().time())
    if not work.answer.done():
        work.withdraw()
        raise MaildirUnreadable("listing it takes too long, and goes on", is_temporary=True)


def _contents_if_locked(maildirs: Maildirs, maildir: Maildir, lock_name: str) -> MaildropContents | None:
    try:
        maildir.open()
    except FileNotFoundError:
        return maildirs.scan(maildir)
    except OSError as error:
        raise MaildirUnreadable.caused_by("the maildir cannot be opened", error) from None
    return maildirs.scan(maildir) if maildir.lock_name == lock_name else None
