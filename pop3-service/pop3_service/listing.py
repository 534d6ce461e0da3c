"""Lists maildirs in threads: one thread at a time for each maildir, and no client waits without end."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from pop3_service.disk import DiskThreads, Work
from pop3_service.maildir import Maildir, MaildirPath, Maildirs, MaildirUnreadable
from pop3_service.protocol.maildrop import MaildropContents

LISTING_SECONDS = 20.0
"""How long a login waits for its maildrop: less than clients wait, which is mostly 30 s or more. The listing
goes on; the user's next login finds it done, or waits for the same one."""

_Contents = TypeVar("_Contents", bound=MaildropContents | None)


class Listings:
    """Opens and lists maildirs for the sessions of one process.

    Its methods raise `MaildirUnreadable` when the maildir cannot be listed, or not within `LISTING_SECONDS`.
    """

    def __init__(self, maildirs: Maildirs, disk: DiskThreads) -> None:
        self._maildirs = maildirs
        self._disk = disk
        self._under_way: dict[MaildirPath, Work[Any]] = {}

    async def contents_if_locked(self, maildir: Maildir, lock_name: str) -> MaildropContents | None:
        """Open `maildir`; return its contents if `lock_name` is its own, or it does not exist, else None."""
        return await self._one_at_a_time(maildir, _contents_if_locked, self._maildirs, maildir, lock_name)

    async def contents(self, maildir: Maildir) -> MaildropContents:
        """Return the contents of an open maildir."""
        return await self._one_at_a_time(maildir, self._maildirs.scan, maildir)

    async def _one_at_a_time(
        self, maildir: Maildir, do: Callable[..., _Contents], *arguments: object
    ) -> _Contents:
        path = maildir.path
        until = asyncio.get_running_loop().time() + LISTING_SECONDS
        # The result of an earlier listing may lack mail that has come since; it leaves this one little to do.
        while (under_way := self._under_way.get(path)) is not None:
            await _wait(under_way, until)
        work = self._disk.begin(self._maildirs.lane(maildir), do, *arguments)
        self._under_way[path] = work
        work.answer.add_done_callback(lambda answer: self._ended(path, answer))
        await _wait(work, until)
        return work.answer.result()

    def _ended(self, path: MaildirPath, answer: "asyncio.Future[Any]") -> None:
        del self._under_way[path]
        if not answer.cancelled():
            answer.exception()  # the login that began it may have gone: an exception is then expected


async def _wait(work: Work[Any], until: float) -> None:
    """Wait until `work` is done, with whatever result."""
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
