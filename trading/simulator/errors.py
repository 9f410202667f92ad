"""Refusals of the simulated exchange, worded as Binance words them."""

from typing import Any, Final


class ApiError(Exception):
    """A request is refused; nothing was changed."""

    def __init__(self, status: int, code: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"code": self.code, "msg": self.message}


NUMBER: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"  # Binance's own pattern, quoted in its replies
INTEGER: Final = "^[0-9]{1,20}$"
CLIENT_ID: Final = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"


def missing(name: str) -> ApiError:
    """Return the refusal of a request without a mandatory parameter."""
    return ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> ApiError:
    """Return the refusal of a parameter that does not match its pattern."""
    return ApiError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def not_required(name: str) -> ApiError:
    """Return the refusal of a parameter this order may not have."""
    return ApiError(400, -1106, f"Parameter '{name}' sent when not required.")


def bad_key() -> ApiError:
    """Return the refusal of an unknown key, or of one without the permission."""
    return ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")


def bad_key_format() -> ApiError:
    """Return the refusal of a request without a key."""
    return ApiError(401, -2014, "API-key format invalid.")


def bad_signature() -> ApiError:
    """Return the refusal of a wrong signature."""
    return ApiError(400, -1022, "Signature for this request is not valid.")


def ahead_of_server() -> ApiError:
    """Return the refusal of a time stamp from the future."""
    return ApiError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def outside_window() -> ApiError:
    """Return the refusal of a request that arrives too late."""
    return ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def too_much_weight(limit: int, *, retry_after_s: int | None) -> ApiError:
    """Return the 429 of an address that used its weight."""
    message = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    return ApiError(429, -1003, message, retry_after_s=retry_after_s)


def banned(until_ms: int, *, retry_after_s: int | None) -> ApiError:
    """Return the 418 of an address that went on after its 429."""
    message = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans."
    )
    return ApiError(418, -1003, message, retry_after_s=retry_after_s)


def too_many_orders(limit: int, seconds: int, *, retry_after_s: int) -> ApiError:
    """Return the refusal of an order above the count of its account."""
    message = f"Too many new orders; current limit is {limit} orders per {seconds} SECOND."
    return ApiError(429, -1015, message, retry_after_s=retry_after_s)
