"""API tokens: their digests, never the tokens themselves."""

import asyncio
import json
from collections.abc import Sequence

from state_store.administrators import ApiToken, Role
from state_store.audit import Actor
from state_store.errors import ApiTokenExists, TooMany, UnknownApiToken
from state_store.redis import keys
from state_store.repository.answers import pairs, seconds_of
from state_store.repository.deployment import DeploymentStore


class ApiTokenRepository(DeploymentStore):
    """API tokens, by digest (`credentials.api_tokens.token_digest`)."""

    async def api_token(self, digest: str) -> tuple[ApiToken | None, float]:
        """Return the token of a digest, or None, and the store's time (seconds since the epoch)."""
        use, now, text = await asyncio.gather(
            self._client.send("HGET", keys.API_TOKEN_USES, digest),
            self._client.send("TIME"),
            self._ours("HGET", keys.API_TOKENS, digest),
        )
        return None if text is None else _token(text, use), seconds_of(now)

    async def api_tokens(self) -> list[ApiToken]:
        """Return all tokens, sorted by name."""
        uses, found = await asyncio.gather(
            self._client.send("HGETALL", keys.API_TOKEN_USES), self._ours("HGETALL", keys.API_TOKENS)
        )
        used = pairs(uses)
        tokens = [_token(text, used.get(digest)) for digest, text in pairs(found).items()]
        return sorted(tokens, key=lambda token: token.name)

    async def make_api_token(
        self,
        name: str,
        digest: str,
        role: Role,
        *,
        networks: Sequence[str] = (),
        ends_at: float = 0.0,
        by: Actor,
    ) -> None:
        """Make a token. Raises `ApiTokenExists` and `TooMany`."""
        answer = await self._client.script(
            "make_api_token", by.packed(), digest, name, role.value, ",".join(networks), int(ends_at * 1000)
        )
        if answer == "exists":
            raise ApiTokenExists
        if answer == "full":
            raise TooMany

    async def revoke_api_token(self, name: str, *, by: Actor) -> None:
        """Make a token worthless from now on. Raises `UnknownApiToken`."""
        if not await self._client.script("revoke_api_token", by.packed(), name):
            raise UnknownApiToken

    async def note_token_use(self, digest: str, address: str) -> None:
        """Write down that a token was used now, unless that was done within `TOKEN_USE_SECONDS`."""
        await self._client.script("note_token_use", digest, address)


def _token(text: str, use: str | None) -> ApiToken:
    name, role, networks, ends_ms, made_ms, made_by = json.loads(text)
    used_ms, _, address = (use or "0").partition(" ")
    return ApiToken(
        name,
        Role(role),
        tuple(filter(None, networks.split(","))),
        ends_ms / 1000,
        made_ms / 1000,
        made_by,
        int(used_ms) / 1000,
        address,
    )
