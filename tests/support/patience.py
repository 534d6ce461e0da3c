"""Patience with a store and with instances that nobody takes away: if they are late, the machine is busy."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from state_store.instance import admission, live_instance
from state_store.redis import client, topology
from state_store.repository import monitoring, obedience, settings

SECONDS = 20.0
"""Far more than an answer takes, even on a busy machine."""

PATIENT_WITH_THE_STORE = {f"{module.__name__}.ANSWER_SECONDS": SECONDS for module in (client, topology)}
"""The `periods` of a forked program whose store nobody takes away."""


@contextmanager
def patience_with_the_store() -> Iterator[None]:
    """Let each command wait so long for its answer."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (client, topology):
            patch.setattr(module, "ANSWER_SECONDS", SECONDS)
        yield


@contextmanager
def patience_with_instances() -> Iterator[None]:
    """Wait so long for instances: to listen, to obey, to judge a directory, to close, to give slots back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_instance, "LISTENING_SECONDS", SECONDS)
        patch.setattr(obedience, "OBEYED_SECONDS", SECONDS)
        patch.setattr(settings, "PROPOSAL_SECONDS", SECONDS)
        patch.setattr(monitoring, "CLOSING_SECONDS", SECONDS)
        patch.setattr(admission, "WAIT_SECONDS", SECONDS)
        yield


@contextmanager
def no_patience_with_instances() -> Iterator[None]:
    """Hardly wait for instances that take note of nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(obedience, "OBEYED_SECONDS", 0.01)
        yield
