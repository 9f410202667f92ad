"""Cancel everything with nothing but the standard library: the watchdog must run where all else has failed."""

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

TIMEOUT_S: Final = 3.0
RECV_WINDOW_MS: Final = 2_000
NOTHING_OPEN: Final = -2011
CLOCK_DENIED: Final = -1021
MS: Final = 1_000_000  # nanoseconds


class UnableToCancel(Exception):
    """The venue did not confirm; orders may still work. Try again."""


class CancelClient:
    """Signed REST calls of one account, with a key that may read and cancel only."""

    def __init__(self, base_url: str, *, key: str, secret: str) -> None:
        """`base_url` is where a venue listens that speaks Binance's dialect."""
        self._address = urlsplit(base_url)
        self._key = key
        self._secret = secret.encode()
        self._skew_ms = 0  # the venue's clock minus ours, once it has denied ours

    def open_orders(self, symbol: str) -> int:
        """Return how many orders are open on `symbol`.

        Raises:
            UnableToCancel: there is no usable answer.
        """
        status, body = self._call("GET", "/api/v3/openOrders", {"symbol": symbol})
        if status != 200 or not isinstance(body, list):
            raise UnableToCancel(f"{symbol}: open orders could not be read (HTTP {status}: {str(body)[:120]}).")
        return len(body)

    def cancel_all(self, symbol: str) -> int:
        """Cancel every open order on `symbol` and return how many; 0 when none was open.

        Raises:
            UnableToCancel: the venue did not confirm.
        """
        status, body = self._call("DELETE", "/api/v3/openOrders", {"symbol": symbol})
        if status == 200 and isinstance(body, list):
            return len(body)
        if isinstance(body, dict) and body.get("code") == NOTHING_OPEN:
            return 0
        raise UnableToCancel(f"{symbol}: not cancelled (HTTP {status}: {str(body)[:120]}).")

    def restrictions(self) -> Any:
        """Return the venue's answer about what the asking key may do, as it came.

        Raises:
            UnableToCancel: there is no usable answer.
        """
        status, body = self._call("GET", "/sapi/v1/account/apiRestrictions", {})
        if status != 200:
            raise UnableToCancel(f"the key's permissions could not be read (HTTP {status}: {str(body)[:120]}).")
        return body

    def clock_skew_ms(self) -> float:
        """Return the venue's clock minus ours, in ms, corrected for half the round trip.

        Raises:
            UnableToCancel: there is no usable answer.
        """
        left, started = time.time_ns(), time.monotonic_ns()
        _, body = self._exchange("GET", "/api/v3/time")
        half_ns = (time.monotonic_ns() - started) // 2
        venue_ms = body.get("serverTime") if isinstance(body, dict) else None
        if type(venue_ms) is not int:
            raise UnableToCancel("the venue's clock could not be read.")
        return (venue_ms * MS - left - half_ns) / MS

    def _call(self, method: str, path: str, parameters: Mapping[str, str]) -> tuple[int, Any]:
        """Send one signed request; where the venue denies our clock, set the clock and send it once more."""
        status, body = self._signed(method, path, parameters)
        if isinstance(body, dict) and body.get("code") == CLOCK_DENIED and self._set_clock():
            status, body = self._signed(method, path, parameters)
        return status, body

    def _signed(self, method: str, path: str, parameters: Mapping[str, str]) -> tuple[int, Any]:
        stamp_ms = time.time_ns() // MS + self._skew_ms
        query = urlencode({**parameters, "recvWindow": RECV_WINDOW_MS, "timestamp": stamp_ms})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        return self._exchange(method, f"{path}?{query}&signature={signature}")

    def _set_clock(self) -> bool:
        _, body = self._exchange("GET", "/api/v3/time")
        venue_ms = body.get("serverTime") if isinstance(body, dict) else None
        if type(venue_ms) is not int:
            return False
        self._skew_ms = venue_ms - time.time_ns() // MS
        return True

    def _exchange(self, method: str, target: str) -> tuple[int, Any]:
        secure = self._address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._address.hostname or "", self._address.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, self._address.path.rstrip("/") + target, headers={"X-MBX-APIKEY": self._key})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise UnableToCancel(f"the venue gave no usable answer: {type(error).__name__} {error}") from error
        finally:
            connection.close()
