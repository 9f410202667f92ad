"""Whatever a recording holds, it is replayed soundly or refused with the file, the row and what to do."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.hostile import damaged, drawn, many, promptly
from trading.domain.market import BookTop
from trading.simulator import listing, replay
from trading.simulator.replay import (
    BAR_COLUMNS,
    EARLIEST_NS,
    LATEST_NS,
    MINUTE_NS,
    TICK_COLUMNS,
    Recording,
    ReplayError,
)

NS = 1_723_161_254_000_000_000
MINUTE = NS - NS % MINUTE_NS
INSTRUMENTS = listing.load().instruments
PATH = Path("hostile.parquet")
TYPES = {"int64": pa.int64(), "string": pa.string(), "bool": pa.bool_()}

TICK: dict[str, Any] = {
    "recv_ts_ns": NS, "symbol": "BTCUSDT", "kind": "bbo", "price": Decimal("60000.00"), "qty": Decimal("0.5"),
    "is_buyer_maker": None, "ask_price": Decimal("60000.01"), "ask_qty": Decimal("0.3"),
}  # fmt: skip
SALE = {**TICK, "kind": "trade", "is_buyer_maker": True, "ask_price": None, "ask_qty": None, "recv_ts_ns": NS + 1}
BAR: dict[str, Any] = {
    "open_ts": MINUTE, "symbol": "BTCUSDT", "o": Decimal(100), "h": Decimal(110), "l": Decimal(90), "c": Decimal(101),
    "v": Decimal("1.5"),
}  # fmt: skip
TIMES = [0, -1, NS, NS + 1, MINUTE, MINUTE + MINUTE_NS, EARLIEST_NS, LATEST_NS, 2**63 - 1, -(2**63)]
NINES = "9" * 30
PRICES = [
    Decimal(text) for text in ("0", "-1", "0.01", "0.00000001", "60000", "60000.001", "9" * 20, NINES, f"-{NINES}")
]
NAMES = ["BTCUSDT", "ETHUSDT", "NOPE", "", "bbo", "trade", "\U0001f600", "x" * 1_000]


def rows(*valid: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return up to five rows of which some fields are hostile."""
    samples = {n: next((row[n] for row in valid if row[n] is not None), None) for n in valid[0]}

    def row(random: Random) -> dict[str, Any]:
        found = dict(random.choice(valid))
        for name in random.sample(sorted(found), random.choice((0, 0, 0, 1, 2))):
            found[name] = None if random.random() < 0.2 else _hostile(samples[name], random)
        return found

    return drawn(lambda random: [row(random) for _ in range(random.randint(1, 5))])


def _hostile(sample: Any, random: Random) -> Any:
    if isinstance(sample, bool):
        return random.random() < 0.5
    if isinstance(sample, int):
        return random.choice(TIMES)
    return random.choice(NAMES if isinstance(sample, str) else PRICES)


def table(found: list[dict[str, Any]], columns: dict[str, str], scale: int) -> pa.Table:
    """Return the rows as columns of the documented types."""
    fields = [(name, TYPES.get(kind, pa.decimal128(38, scale))) for name, kind in columns.items()]
    return pa.table({name: pa.array([row[name] for row in found], kind) for name, kind in fields})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "f.parquet"


@many
@given(found=rows(TICK, SALE))
def test_hostile_ticks_are_replayed_soundly_or_refused(found: list[dict[str, Any]]) -> None:
    _assert_sound_or_refused(lambda: replay._Reader(PATH, table(found, TICK_COLUMNS, 8), INSTRUMENTS).ticks())


@many
@given(found=rows(BAR, {**BAR, "open_ts": MINUTE + MINUTE_NS, "symbol": "ETHUSDT"}))
def test_hostile_bars_are_replayed_soundly_or_refused(found: list[dict[str, Any]]) -> None:
    _assert_sound_or_refused(lambda: replay._Reader(PATH, table(found, BAR_COLUMNS, 8), INSTRUMENTS).bars())


def _content() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table([TICK, SALE, {**TICK, "recv_ts_ns": NS + 2}], TICK_COLUMNS, 8), sink)
    return bytes(sink.getvalue())


@many
@given(content=damaged(_content()))
def test_a_damaged_file_is_replayed_soundly_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    _assert_sound_or_refused(lambda: replay.read(path, INSTRUMENTS))


def _assert_sound_or_refused(read: Callable[[], Recording]) -> None:
    with promptly():
        try:
            recording = read()
        except ReplayError as refusal:
            str(refusal).encode()
            return
        events = list(replay.events(recording))

    for event in events:
        assert event.symbol in INSTRUMENTS
        assert EARLIEST_NS <= event.venue_at_ns <= LATEST_NS + MINUTE_NS
        if isinstance(event, BookTop):
            assert 0 < event.bid_ticks < event.ask_ticks
            assert min(event.bid_lots, event.ask_lots) >= 0
        else:
            assert event.price_ticks > 0
            assert event.quantity_lots > 0
