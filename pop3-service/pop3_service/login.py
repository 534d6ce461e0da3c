"""From a user name and a password to an open maildrop: check, lock, read."""

import asyncio
import os
from dataclasses import dataclass

import structlog

from pop3_service.maildir import MaildirUnreadable, maildir_of
from pop3_service.protocol.intentions import LogIn
from pop3_service.protocol.maildrop import MaildropContents
from pop3_service.protocol.replies import LoginRefusal
from pop3_service.resources import Resources
from state_store.errors import StoreUnavailable
from state_store.records import Login, LoginOutcome

LOCK_PATIENCE_SECONDS = 0.25
LOCK_POLL_SECONDS = 0.02
"""A client that comes back at once may be faster than the word that its last session is over: a lock
that somebody holds is asked for again a few times before `[IN-USE]` is said."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An open maildrop: whose, where, and what it held at login. Its lock is ours."""

    username: str
    maildir: bytes
    contents: MaildropContents


async def log_in(resources: Resources, wish: LogIn, session_id: str, address: str) -> LoggedIn | LoginRefusal:
    """Check the password, lock the maildrop and list it; whoever gets `LoggedIn` owes the lock's release.

    On the usual way it waits for the state store once and for the disk never: the password and the
    listing are remembered.
    """
    try:
        refusal = await _lock(resources, wish, session_id, address)
    except StoreUnavailable:
        return LoginRefusal.STORE_UNAVAILABLE
    if refusal is not None:
        return refusal
    mail_directory = resources.instance.settings.mail_directory
    maildir = maildir_of(mail_directory, wish.username)
    try:
        contents = await _list(resources, maildir, session_id)
        if not contents.messages:
            _require_mail_directory(mail_directory)
    except MaildirUnreadable as error:
        log.warning("maildrop unreadable", session=session_id, user=wish.username, reason=str(error))
        resources.instance.release_maildrop(wish.username, session_id)
        return LoginRefusal.MAILDROP_UNREADABLE
    except BaseException:
        resources.instance.release_maildrop(wish.username, session_id)
        raise
    return LoggedIn(wish.username, maildir, contents)


async def _lock(resources: Resources, wish: LogIn, session_id: str, address: str) -> LoginRefusal | None:
    """Return None once the maildrop is locked for the session, on a right password."""
    version = resources.passwords.recall(wish.username, wish.password)
    has_turn = False
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + LOCK_PATIENCE_SECONDS
    while True:
        if version is None:
            version = await resources.authenticator.check_user(wish.username, wish.password, address)
            if version is None:
                return LoginRefusal.WRONG_CREDENTIALS
            has_turn = True
        outcome = await resources.instance.lock_maildrop(
            Login(wish.username, session_id, version, address, has_turn)
        )
        if outcome is LoginOutcome.OPENED:
            return None
        if outcome is LoginOutcome.IN_USE:
            if loop.time() > patience_ends:
                return LoginRefusal.IN_USE
            await asyncio.sleep(LOCK_POLL_SECONDS)
        else:
            # The password has been changed since it was remembered, or this address has to take its
            # turn: check it once more, against what the store says now.
            resources.passwords.forget(wish.username)
            version = None


async def _list(resources: Resources, maildir: bytes, session_id: str) -> MaildropContents:
    contents = resources.maildirs.remembered(maildir)
    if contents is not None:
        return contents
    contents = await asyncio.get_running_loop().run_in_executor(
        resources.disk_threads, resources.maildirs.scan, maildir
    )
    left_out = resources.maildirs.unreadable_messages(maildir)
    if left_out:
        log.warning("messages left out: they cannot be read", session=session_id, messages=left_out)
    return contents


def _require_mail_directory(path: str) -> None:
    # A user without mail may have no maildir yet. A mail directory that is not there is a lost
    # mount, and must not look like an empty maildrop.
    if not os.path.isdir(path):
        raise MaildirUnreadable("the mail directory is not there")
