"""Seeded faults: what goes wrong with which request, how often."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class FaultKind(StrEnum):
    """What happens to a request."""

    LATENCY = "latency"  # answered `value` ms later
    DROP_REQUEST = "drop_request"  # connection closed, nothing executed
    DROP_RESPONSE = "drop_response"  # executed, connection closed without a reply
    ERROR = "error"  # any status, code and message
    HTML = "html"  # 403 with a page, as a web firewall sends
    EMPTY = "empty"  # a status without a body
    TRUNCATED = "truncated"  # the first half of the real reply
    GARBAGE = "garbage"  # 200 with bytes that are no JSON
    THROTTLE = "throttle"  # 429 -1003
    BAN = "ban"  # 418 -1003


EXECUTES: Final = frozenset(
    {FaultKind.LATENCY, FaultKind.DROP_RESPONSE, FaultKind.TRUNCATED, FaultKind.GARBAGE}
)  # unless `executed` says otherwise
DEFAULT_STATUS: Final = {FaultKind.ERROR: 500, FaultKind.HTML: 403, FaultKind.EMPTY: 504}


class FaultError(ValueError):
    """A fault is described wrongly; the message names the field and the accepted values."""


@dataclass(slots=True)
class Fault:
    """One rule; `count` requests are hit (0: until reset), each with `probability`."""

    kind: FaultKind
    target: str = ""  # beginning of "POST /api/v3/order" or "order.place"; empty: every request
    account: str = ""  # slug; empty: every account
    count: int = 1
    probability: float = 1.0
    skip: int = 0  # so many matching requests pass first
    latency_ms: float = 0.0
    status: int = 0
    code: int = -1000
    message: str = "An unknown error occured while processing the request."
    retry_after: str | None = None  # sent as it is; None: no header
    executed: bool = False
    hit: int = 0

    def concerns(self, target: str, account: str) -> bool:
        """Return True if the rule is about this request."""
        return target.startswith(self.target) and self.account in ("", account)


class Faults:
    """The rules in force."""

    def __init__(self, *, seed: int = 0) -> None:
        self._random = random.Random(seed)  # repeatable on purpose
        self.rules: list[Fault] = []

    def reset(self, *, seed: int = 0) -> None:
        """Forget every rule and start the dice anew."""
        self._random = random.Random(seed)  # repeatable on purpose
        self.rules.clear()

    def draw(self, target: str, account: str) -> Fault | None:
        """Return the first rule that hits this request."""
        for rule in self.rules:
            if not rule.concerns(target, account):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if self._random.random() < rule.probability:
                self._use(rule)
                return rule
        return None

    def _use(self, rule: Fault) -> None:
        rule.hit += 1
        if rule.count and rule.hit >= rule.count:
            self.rules.remove(rule)


_NAMES: Final[dict[str, type | tuple[type, ...]]] = {
    "target": str,
    "account": str,
    "message": str,
    "count": int,
    "skip": int,
    "status": int,
    "code": int,
    "probability": (int, float),
    "latency_ms": (int, float),
    "retry_after": (str, int, type(None)),
    "executed": bool,
}


def parse(document: Mapping[str, Any]) -> Fault:
    """Return the rule in `document`.

    Raises:
        FaultError: unknown kind or field, or a value of the wrong type or range.
    """
    try:
        kind = FaultKind(str(document.get("kind")))
    except ValueError as error:
        raise FaultError(f"kind: {document.get('kind')!r} is none of {', '.join(FaultKind)}.") from error
    values: dict[str, Any] = {"executed": kind in EXECUTES, "status": DEFAULT_STATUS.get(kind, 0)}
    for name, value in document.items():
        if name == "kind":
            continue
        values[name] = _checked(name, value)
    if values.get("retry_after") is not None:
        values["retry_after"] = str(values["retry_after"])
    return Fault(kind=kind, **values)


def _checked(name: str, value: Any) -> Any:
    expected = _NAMES.get(name)
    if expected is None:
        raise FaultError(f"{name}: not a field of a fault; use {', '.join(_NAMES)}.")
    wrong_type = not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool)
    if wrong_type:
        raise FaultError(f"{name}: {value!r} has the wrong type.")
    limits = {"probability": (0, 1), "latency_ms": (0, 600_000), "count": (0, 10**9), "skip": (0, 10**9)}
    lowest, highest = limits.get(name, (None, None))
    if lowest is not None and highest is not None and not lowest <= value <= highest:
        raise FaultError(f"{name}: {value} is outside {lowest}..{highest}.")
    if name == "status" and not 200 <= value <= 599:
        raise FaultError(f"status: {value} is no HTTP status.")
    return value
