"""From a user name and a password to an open maildrop: check, lock, read."""

import asyncio
import os
from dataclasses import dataclass

import structlog

from pop3_service.maildir import MaildirUnreadable, Whereabouts, maildir_of
from pop3_service.protocol.maildrop import MaildropContents
from pop3_service.protocol.replies import LoginRefusal
from pop3_service.resources import Resources
from state_store.errors import StoreUnavailable
from state_store.opaque_string import UnusablePassword, opaque_string
from state_store.records import Login, LoginOutcome

LOCK_PATIENCE_SECONDS = 0.25
LOCK_POLL_SECONDS = 0.02
"""A client that comes back at once may be faster than the word that its last session is over: a lock
that somebody holds is asked for again a few times before `[IN-USE]` is said."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Proof:
    """That a client knows the password of `username`'s credential of this version, shown by SCRAM."""

    username: str
    credential_version: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An open maildrop: whose, where, and what it held at login. Its lock is ours."""

    username: str
    maildir: bytes
    contents: MaildropContents
    lease: str
    """The instance id under which the lock was taken: with another one it is ours no more."""
    whereabouts: Whereabouts


def remembered_login(
    resources: Resources, username: str, password: str, session_id: str, address: str
) -> Login | None:
    """Return what to lock the maildrop with, for who gives the password that was right before.

    None where nobody has logged in with it lately, and it has to be checked: `log_in` does.
    """
    version = resources.passwords.recall(username, _prepared(password))
    return None if version is None else Login(username, session_id, version, address)


def open_at_once(resources: Resources, username: str) -> LoggedIn | None:
    """Return the maildrop that has just been locked, if what it holds is known without the disk.

    On None the lock is still owed: `open_maildrop` goes on.
    """
    instance = resources.instance
    mail_directory = instance.settings.mail_directory
    try:
        maildir = maildir_of(mail_directory, username, resources.layout)
    except MaildirUnreadable:
        return None
    contents = resources.maildirs.remembered(maildir)
    if contents is None or not contents.messages:
        return None
    return LoggedIn(username, maildir, contents, instance.instance_id, Whereabouts())


async def log_in(
    resources: Resources, username: str, evidence: str | Proof, session_id: str, address: str
) -> LoggedIn | LoginRefusal:
    """Lock the maildrop for who gives a right password, or a proof of it, and list it.

    Whoever gets `LoggedIn` owes the lock's release.
    """
    try:
        if isinstance(evidence, Proof):
            refusal = await _lock_on_proof(resources, evidence, session_id, address)
        else:
            refusal = await _lock_on_password(resources, username, _prepared(evidence), session_id, address)
    except StoreUnavailable:
        return LoginRefusal.STORE_UNAVAILABLE
    return await open_maildrop(resources, username, session_id) if refusal is None else refusal


async def open_maildrop(resources: Resources, username: str, session_id: str) -> LoggedIn | LoginRefusal:
    """List the maildrop that has just been locked; where that fails its lock is given back."""
    lease = resources.instance.instance_id
    mail_directory = resources.instance.settings.mail_directory
    try:
        maildir = maildir_of(mail_directory, username, resources.layout)
        contents = await _list(resources, maildir, session_id)
        if not contents.messages:
            _require_mail_directory(mail_directory)
    except MaildirUnreadable as error:
        log.warning("maildrop unreadable", session=session_id, user=username, reason=str(error))
        resources.instance.withdraw_login(username, session_id)
        return LoginRefusal.MAILDROP_UNREADABLE
    except BaseException:
        resources.instance.withdraw_login(username, session_id)
        raise
    return LoggedIn(username, maildir, contents, lease, Whereabouts())


def _prepared(password: str) -> str:
    # One that could never be set fits no user: it is checked as it is, and costs what a wrong one costs.
    try:
        return opaque_string(password)
    except UnusablePassword:
        return password


async def _lock_on_password(
    resources: Resources, username: str, password: str, session_id: str, address: str
) -> LoginRefusal | None:
    version = resources.passwords.recall(username, password)
    has_turn = False
    while True:
        if version is None:
            version = await resources.authenticator.check_user(username, password, address)
            if version is None:
                return LoginRefusal.WRONG_CREDENTIALS
            has_turn = True
        outcome = await _lock(resources, Login(username, session_id, version, address, has_turn))
        if outcome in _VERDICTS:
            return _VERDICTS[outcome]
        # The password has been changed since it was remembered, or this address has to take its
        # turn: check it once more, against what the store says now.
        resources.passwords.forget(username)
        version = None


async def _lock_on_proof(
    resources: Resources, proof: Proof, session_id: str, address: str
) -> LoginRefusal | None:
    login = Login(proof.username, session_id, proof.credential_version, address, has_turn=True)
    # What is no verdict here can only be that the password has been changed since it was proved.
    return _VERDICTS.get(await _lock(resources, login), LoginRefusal.WRONG_CREDENTIALS)


_VERDICTS = {
    LoginOutcome.OPENED: None,
    LoginOutcome.IN_USE: LoginRefusal.IN_USE,
    LoginOutcome.TOO_SOON: LoginRefusal.TOO_SOON,
}


async def _lock(resources: Resources, login: Login) -> LoginOutcome:
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + LOCK_PATIENCE_SECONDS
    while True:
        outcome = await resources.instance.lock_maildrop(login)
        if outcome is not LoginOutcome.IN_USE or loop.time() > patience_ends:
            return outcome
        await asyncio.sleep(LOCK_POLL_SECONDS)


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
