"""What shows whom a request comes from, for as long as that counts."""

from dataclasses import dataclass

from state_store.administrators import Role
from state_store.audit import Actor
from state_store.repository import StateRepository


@dataclass(frozen=True, slots=True)
class Proof:
    """Who asks, what he may do, and what both rest on."""

    actor: Actor
    role: Role
    identity: str = ""
    """The administrator's, which changes with password and role; empty with an API token."""
    sign_in_id: str = ""
    """The dashboard's sign-in that it came with, if one did."""
    token_digest: str = ""
    """The API token's, if it came with one."""

    async def holds(self, repository: StateRepository) -> bool:
        """Return whether it would still be accepted. Raises `StoreUnavailable`."""
        if self.token_digest:
            token, now = await repository.api_token(self.token_digest)
            return token is not None and not token.refusal(self.actor.address, now)
        administrator = await repository.administrator(self.actor.name)
        if administrator is None or administrator.identity != self.identity:
            return False
        return not (self.sign_in_id and await repository.is_ended_sign_in(self.sign_in_id))
