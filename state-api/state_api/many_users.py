"""Adds many users in one request: if one cannot be added, the others still are."""

from pydantic import ValidationError

from state_api.errors import field_error
from state_api.user_schemas import (
    AddedUser,
    AddedUsers,
    NewUser,
    NewUsers,
    NewUserWithHash,
    UserEntry,
    UserOutcome,
)
from state_store.audit import Actor
from state_store.credentials.passwords import Passwords
from state_store.records import Credential
from state_store.repository import StateRepository

_NOBODY = Credential("", "")
"""What a dry run adds: no password is hashed for it."""


async def add_many(
    request: NewUsers, repository: StateRepository, passwords: Passwords, *, by: Actor
) -> AddedUsers:
    """Add all users whose entries are valid in one step, and return the outcome of each."""
    results = [
        AddedUser(username=entry.username, outcome=UserOutcome.REFUSED, reason=None)
        for entry in request.users
    ]
    taken: list[AddedUser] = []
    new: list[tuple[str, Credential]] = []
    for entry, result in zip(request.users, results, strict=True):
        try:
            user = _new_user(entry, allow_weak=request.allow_weak)
        except ValidationError as error:
            wrong = field_error(error.errors()[0])
            result.reason = f"{wrong.field}: {wrong.message}"
            continue
        # One after the other: a password that is to be checked meanwhile waits for one of these at most.
        credential = _NOBODY if request.dry_run else await user.credential(passwords)
        new.append((user.username, credential))
        taken.append(result)
    outcomes = await repository.add_users(new, by=by, update=request.update, is_trial=request.dry_run)
    for result, outcome in zip(taken, outcomes, strict=True):
        result.outcome = UserOutcome(outcome.value)
    return AddedUsers(results=results)


def _new_user(entry: UserEntry, *, allow_weak: bool) -> NewUser | NewUserWithHash:
    fields = entry.model_dump(exclude_none=True)
    if entry.password_hash is None:
        return NewUser.model_validate(fields)
    return NewUserWithHash.model_validate({**fields, "allow_weak": allow_weak})
