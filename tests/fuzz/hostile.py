"""Hostile input: near misses of what is right, and what no program should have to read."""

import copy
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from random import Random
from types import FrameType
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

INPUTS: Final = int(
    os.environ.get("GRIDCONSOLE_FUZZ_INPUTS", "2000")
)  # per decoder; how to run more: docs/operations.md
TICK_S: Final = 0.5  # of CPU time, so that a busy machine does not fail the test
HANG_TICKS: Final = 2  # a second
LARGEST: Final = 2**63  # what the database stores

many = settings(
    max_examples=INPUTS,
    deadline=None,  # `promptly` looks at CPU time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

# --- values ---------------------------------------------------------------------------------------------------

NUMBERS: Final[list[Any]] = [
    "0", "-0", "1", "-1", "0.00000000", "-0.00000001", "61234.56000000", "61234.56100000", "0.00100000", "1e5", "1E-2",
    "NaN", "nan", "Infinity", "-Infinity", "inf", "+1", " 1", "1 ", "1_000", "1,5", "0x10", ".", "-", "--1", "1.2.3",
    ".5", "5.", "9" * 19, "9" * 20, "9" * 21, "9" * 500, "0." + "0" * 18 + "1", "1" + "0" * 10 + ".00000000",
    "99999999999.99999999", "12345678901.12345678", "-99999999999.00000000", "\uff11\uff12.0", "\u0663.0", "²",
    0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**19, 10**30, 10**400, 1_700_000_000_000,
    4_102_444_800_000, 0.0, -0.0, 0.1, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip  # digits of other scripts are the case
WORDS: Final[list[Any]] = [
    None, True, False, "", " ", "\x00", "a\x00b", "\ud800", "\udfff", "\U0001f600", "ключ", "BTCUSDT", "btcusdt",
    "ETHUSDT", "NEW", "FILLED", "CANCELED", "TRADE", "EXPIRED", "REJECTED", "BUY", "SELL", "trade", "replaySeam",
    "executionReport", "gc-micro-1-1", "x" * 300, "'; DROP TABLE", "{{7*7}}", "<script>", "%00", "../../etc/passwd",
    [], {}, [[]], [{}], {"": None}, [None], [1, 2], {"e": "trade"}, "[" * 300,
]  # fmt: skip

Made = TypeVar("Made")


def drawn(make: Callable[[Random], Made]) -> st.SearchStrategy[Made]:
    """Return what `make` builds of a seed; drawing every part by itself takes ten times longer, and finds no more."""
    return st.integers(0, 2**64 - 1).map(lambda seed: make(Random(seed)))


def value(random: Random) -> Any:
    """Return a number, a word, a decimal or a small document."""
    kind = random.random()
    if kind < 0.35:
        return random.choice(NUMBERS)
    if kind < 0.65:
        return random.choice(WORDS)
    if kind < 0.8:
        return f"{random.randint(-(10 ** random.randint(1, 19)), 10**19) / 10**8:.{random.randint(0, 9)}f}"
    return _document(random, depth=0)


def text(random: Random, longest: int = 12) -> str:
    """Return a few characters of anywhere."""
    reach = random.choice((0x7F, 0x7F, 0xFF, 0xD7FF, 0x10FFFF))
    return "".join(chr(random.randint(0, reach)) for _ in range(random.randint(0, longest)))


def _document(random: Random, depth: int) -> Any:
    kind = random.randint(0, 6 if depth < 3 else 4)
    if kind == 5:
        return [_document(random, depth + 1) for _ in range(random.randint(0, 3))]
    if kind == 6:
        return {text(random, 4): _document(random, depth + 1) for _ in range(random.randint(0, 3))}
    return (None, bool(random.getrandbits(1)), random.randint(-(2**70), 2**70), random.gauss(0, 1e9), text(random))[
        kind
    ]


VALUES: Final = drawn(value)


def documents(*valid: Any) -> st.SearchStrategy[Any]:
    """Return `valid` documents with up to four places replaced, removed or added; now and then anything at all."""
    return drawn(lambda random: value(random) if random.random() < 0.1 else _changed(random.choice(valid), random))


def _changed(document: Any, random: Random) -> Any:
    document = copy.deepcopy(document)
    for _ in range(random.randint(0, 4)):
        hostile = copy.deepcopy(value(random))  # the next change may reach into it
        places = list(_places(document))
        if not places:
            return hostile
        container, key = random.choice(places)
        how = random.random()
        if how < 0.6:
            container[key] = hostile
        elif how < 0.8:
            del container[key]
        elif isinstance(container, list):
            container.append(hostile)
        else:
            container[text(random)] = hostile
    return document


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Return `content` with bytes flipped, added or cut; now and then anything at all."""

    def damage(random: Random) -> bytes:
        if random.random() < 0.1:
            return random.randbytes(random.randint(0, 200))
        found = bytearray(content)
        for _ in range(random.randint(0, 6)):
            found[random.randrange(len(found))] = random.randrange(256)
        kept = found[: random.randint(0, len(found))] if random.random() < 0.3 else found
        return bytes(kept) + random.randbytes(random.randint(0, 8) if random.random() < 0.2 else 0)

    return drawn(damage)


def wire(document: Any) -> bytes:
    """Return `document` as JSON text; what JSON cannot say is said as Python's encoder does (NaN, lone surrogates)."""
    try:
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # a number too long to print
        return b"1" * 6_000


# --- judging --------------------------------------------------------------------------------------------------


class Hang(BaseException):
    """The decoder took more than a second."""


@dataclass(slots=True)
class _Watch:
    """Half seconds of CPU time that the input in work has taken; setting a timer for each would take longer."""

    ticks: int | None = None

    def tick(self, number: int, frame: FrameType | None) -> None:
        if self.ticks is not None:
            self.ticks += 1
            if self.ticks > HANG_TICKS:
                raise Hang


_watch: Final = _Watch()


@contextmanager
def watching() -> Iterator[None]:
    """Make `promptly` work inside."""
    before = signal.signal(signal.SIGVTALRM, _watch.tick)
    signal.setitimer(signal.ITIMER_VIRTUAL, TICK_S, TICK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def promptly() -> Iterator[None]:
    """End what takes more than a second of CPU time, within half a second.

    Raises:
        Hang: it did.
    """
    _watch.ticks = 0
    try:
        yield
    finally:
        _watch.ticks = None


def refused(read: Callable[[], Any], *documented: type[Exception]) -> Any:
    """Return what `read` returns after looking at every value in it; None where it raises a documented error."""
    with promptly():
        try:
            found = read()
        except documented as error:
            str(error).encode()  # a reason that cannot be logged is no reason
            return None
    assert_sound(found)
    return found


def assert_sound(value: Any) -> None:
    """Fail when anything in a decoded value is not finite, does not fit the database or cannot be stored as text."""
    if isinstance(value, float | Decimal):
        assert value == value
        assert abs(value) != float("inf")
    elif isinstance(value, int):
        assert -LARGEST <= value < LARGEST
    elif isinstance(value, str):
        value.encode()
        assert "\x00" not in value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            assert_sound(key)
            assert_sound(entry)
    elif isinstance(value, tuple | list | frozenset):
        for entry in value:
            assert_sound(entry)
    elif is_dataclass(value):
        for part in fields(value):
            assert_sound(getattr(value, part.name))
    else:
        assert value is None
