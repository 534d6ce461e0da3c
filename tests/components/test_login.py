"""A login as the session asks for it, over a real store."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pop3_service.context import Pop3Context
from pop3_service.disk import DiskThreads
from pop3_service.listing import Listings
from pop3_service.login import LOCK_PAUSES_SECONDS, Login, OpenedMaildrop
from pop3_service.maildir import Maildirs
from pop3_service.protocol.policy import Policy
from state_store.credentials.authentication import Authenticator
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import Exchange, LoginOutcome
from state_store.records import Login as LockRequest
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords
from support.peep_gateway_server import register
from support.waiting import until

PASSWORD = "correct horse"
STANDSTILL_SECONDS = sum(LOCK_PAUSES_SECONDS)


async def context_of(repository: StateRepository, mail: Path, stack: AsyncExitStack) -> Pop3Context:
    """Return the context of a POP3 process that serves nobody as yet."""
    passwords, disk, maildirs = cheap_passwords(), DiskThreads(), Maildirs()
    stack.callback(passwords.close)
    stack.callback(disk.close)
    callbacks = InstanceCallbacks(
        lambda _: asyncio.sleep(0, ""), settings_changed=lambda: None, lease_lapsed=lambda: None
    )
    instance = LiveInstance(repository, InstanceOptions("here", 1, "1"), callbacks)
    await repository.announce_mail_directory(str(mail), overrides=True, by=OPERATOR)
    await repository.add_user("anna", await passwords.new_credential(PASSWORD), by=OPERATOR)
    await instance.start()
    stack.push_async_callback(instance.stop)
    authenticator = Authenticator(repository, passwords)
    listings = Listings(maildirs, disk)
    return Pop3Context(instance, maildirs, passwords, authenticator, disk, listings, Policy("Peep"), None)


async def test_a_login_goes_on_asking_for_a_lock_after_the_machine_has_stood_still(
    repository: StateRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anna" / "new").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        context = await context_of(repository, tmp_path, stack)
        credential = await repository.credential("anna")
        assert credential is not None
        await register(repository, "there")
        held = LockRequest("anna", "there-1", credential.version, "192.0.2.1")
        assert (await repository.exchange(Exchange("there", 0, logins=[held]))).logins == [
            LoginOutcome.OPENED
        ]
        looks = 0
        lock_maildrop = context.instance.lock_maildrop

        def counted(request: LockRequest) -> "asyncio.Future[LoginOutcome]":
            nonlocal looks
            looks += 1
            return lock_maildrop(request)

        monkeypatch.setattr(LiveInstance, "lock_maildrop", lambda _, request: counted(request))
        login = asyncio.create_task(Login(context, "here-1", "192.0.2.1").by_password("anna", PASSWORD))
        await until(lambda: looks == 1)
        time.sleep(STANDSTILL_SECONDS)  # noqa: ASYNC251 - the machine stands still
        await until(lambda: looks == 3 or login.done())
        await repository.exchange(Exchange("there", 0, releases=[("anna", "there-1")]))
        opened = await login
        assert isinstance(opened, OpenedMaildrop)
        opened.maildir.close()
        context.instance.release_maildrop("anna", "here-1")
