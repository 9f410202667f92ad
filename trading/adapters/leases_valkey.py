"""Leases in Valkey: one owner at a time, each with a fencing number that only ever rises."""

import secrets
import time
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from trading.adapters import holders
from trading.adapters.cancellation import steadfast

KEY: Final = "gc:lease:{name}"
FENCE_KEY: Final = "gc:fence:{name}"

# One step, so that nobody can come between the check and the deed.
ACQUIRE: Final = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local fence = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[3])) + 1
redis.call('SET', KEYS[2], string.format('%d', fence))
return fence
"""
RENEW: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class ValkeyLease:
    """The right to be the one writer, until it is not renewed in time."""

    def __init__(self, client: Redis, *, key: str, token: str, ttl_ms: int, fence: int, asked_at: float) -> None:
        self._client: Any = client  # redis types every reply as "awaitable or not"
        self._key = key
        self._token = token
        self._ttl_ms = ttl_ms
        self._sure_until = asked_at + ttl_ms / 1_000  # monotonic: the server cannot have let go before this
        self.fence = fence

    @property
    def is_held(self) -> bool:
        """True while nobody else can hold it, whatever the network does."""
        return time.monotonic() < self._sure_until

    async def renew(self) -> bool:
        """Keep the lease; False when it is lost for good. A silent server is no loss until the time runs out."""
        asked_at = time.monotonic()
        try:
            kept = await steadfast(self._client.eval(RENEW, 1, self._key, self._token, self._ttl_ms))
        except (RedisError, OSError):
            return self.is_held
        self._sure_until = asked_at + self._ttl_ms / 1_000 if kept else 0.0
        return bool(kept)

    async def release(self) -> None:
        """Give the lease back if it is still ours."""
        self._sure_until = 0.0
        try:
            await self._client.eval(RELEASE, 1, self._key, self._token)
        except (RedisError, OSError):
            return  # it runs out by itself


class ValkeyLeases:
    """Leases shared by every process that uses the same Valkey."""

    def __init__(self, client: Redis, *, floor: int = 0) -> None:
        """`client` needs a socket time-out well below a lease's life.

        Fences are above `floor`: a database that remembers higher ones than a restored Valkey is right.
        """
        self._client: Any = client
        self._floor = floor

    async def acquire(self, name: str, *, ttl_ms: int = 3_000) -> ValkeyLease | None:
        """Return the lease, or None while somebody else holds it.

        A holder of this machine that is known to have ended holds nothing: its time need not run out.
        """
        key, fence_key = KEY.format(name=name), FENCE_KEY.format(name=name)
        token = f"{secrets.token_hex(16)} {holders.own_name()}"
        held_by = await steadfast(self._client.get(key))
        if held_by and holders.has_ended(bytes(held_by).decode().partition(" ")[2]):
            await steadfast(self._client.eval(RELEASE, 1, key, held_by))
        asked_at = time.monotonic()
        fence = int(await steadfast(self._client.eval(ACQUIRE, 2, key, fence_key, token, ttl_ms, self._floor)))
        if not fence:
            return None
        return ValkeyLease(self._client, key=key, token=token, ttl_ms=ttl_ms, fence=fence, asked_at=asked_at)
