"""The market store: bytes a tick, rows written a second, and 1m bars out of ticks.

The long tape is drawn, step by step with replacement, from the recorded LTC trades where they are beside this checkout
(time to the next trade, price move, quantity and side stay together), so that it packs no better than the recording:
what was drawn twice does not follow the same neighbours twice. Elsewhere the steps come from plain distributions. Every
recording is also stored as it is. Before anything is timed, bars from the store are held against a plain loop.

Writing is all of it: rules, columns to Parquet, hash, on the disk under the final name. Both the clock on the wall and
the processor time of this process count; of several passes the median is reported.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import figures, sandbox
from benchmarks.figures import Bound
from trading.adapters.history_files import HistoryFile
from trading.adapters.history_rows import Decoder, Measure
from trading.adapters.store_parquet import Origin, ParquetStore, Part
from trading.domain.history import SECOND_NS, Kind, Series, Steps

RECORDINGS: Final = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "ticks"
LTC: Final = RECORDINGS / "binance-spot_LTCUSDT_20250621-22_trades.parquet"
TICKS: Final = 5_000_000
TICKS_SHORT: Final = 500_000
BATCH: Final = 262_144  # rows handed over at once, as the import does
PASSES: Final = 5
THREADS: Final = 2
MINUTE_S: Final = 60
FIRST_NS: Final = 1_750_507_200 * SECOND_NS
MS: Final = 1_000_000
BOUNDS: Final = {
    "bytes_per_tick": Bound(at_most=6.5),
    "write_rows_per_s": Bound(at_least=10_000_000),
    "bars_rows_per_s": Bound(at_least=20_000_000),
    "bars_equal": Bound(at_least=1),
}
SERIES: Final = Series(Kind.TRADES, "bench", "LTCUSDT")
STEPS: Final = {"LTCUSDT": Steps(Decimal("0.01"), Decimal("0.001"), "data")}
BARS: Final = ("at_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")

Integers = NDArray[np.int64]
Rows = dict[str, Integers]


def main(argv: Sequence[str]) -> int:
    """Store, read back, resample."""
    parser = figures.options("data", __doc__)
    parser.add_argument("--ticks", type=int, default=TICKS, help=f"length of the tape ({TICKS:,})")
    options = parser.parse_args(argv)
    since = figures.before()
    folder = Path(tempfile.mkdtemp(prefix="gc-bench-data-"))
    try:
        measured = _measure(ParquetStore(folder), options.ticks)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures.conclude("data", measured, BOUNDS, as_json=options.json, since=since)


def _measure(store: ParquetStore, ticks: int) -> dict[str, Any]:
    source = recorded()
    tape = drawn(source or plain(TICKS_SHORT), ticks, seed=1)
    sandbox.say(f"storing {ticks:,} ticks drawn from {'the LTC recording' if source else 'plain distributions'} ...")
    equal = bars_are_equal(store, {name: values[: 4 * BATCH] for name, values in tape.items()})
    written, parts = _writing(store, tape)
    paths = [part.path for part in parts]
    resampled = _passes(ticks, lambda: store.bars(paths, MINUTE_S, threads=THREADS))
    one_thread = _passes(ticks, lambda: store.bars(paths, MINUTE_S, threads=1))
    as_recorded = _recordings(store)
    tape_bytes = sum(part.bytes for part in parts) / ticks
    trades = [size for name, size in as_recorded.items() if name.startswith("LTC")]
    return {
        "ticks": ticks,
        "drawn_from": LTC.name if source else "plain distributions",
        "bytes_per_tick": round(max([tape_bytes, *trades]), 3),  # the worse of the tape and the long recording
        "bytes_per_tick_tape": round(tape_bytes, 3),
        "bytes_per_row_recorded": as_recorded,
        "write_rows_per_s": written["wall"],
        "write_rows_per_cpu_s": written["cpu"],
        "write_rows_per_s_each": written["each"],
        "bars_rows_per_s": resampled["wall"],
        "bars_rows_per_cpu_s": resampled["cpu"],
        "bars_rows_per_s_each": resampled["each"],
        "bars_threads": THREADS,
        "bars_rows_per_s_one_thread": one_thread["wall"],
        "bars_equal": int(equal),
    }


def _passes(rows: int, work: Callable[[], object]) -> dict[str, Any]:
    """Return rows a second, by the wall and by the processor: the median of several passes after one that warms up."""
    work()
    wall, cpu = [], []
    for _ in range(PASSES):
        began, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(rows / (time.perf_counter() - began))
        cpu.append(rows / (time.process_time() - busy))
    return {"wall": round(median(wall)), "cpu": round(median(cpu)), "each": [round(rate) for rate in wall]}


# --- writing and reading ------------------------------------------------------------------------------------------


def _store(store: ParquetStore, rows: Mapping[str, Integers], series: Series = SERIES) -> list[Part]:
    staging = store.stage({series.symbol: STEPS["LTCUSDT"]}, Origin("file", "venue"))
    for start in range(0, len(rows["at_ns"]), BATCH):
        staging.add(series, {name: values[start : start + BATCH] for name, values in rows.items()})
    return staging.commit()


def _writing(store: ParquetStore, tape: Rows) -> tuple[dict[str, Any], list[Part]]:
    last: list[Part] = []

    def write() -> None:
        for part in last:
            store.remove(part.path)
        last[:] = _store(store, tape)

    return _passes(len(tape["at_ns"]), write), last


def bars_are_equal(store: ParquetStore, rows: Rows) -> bool:
    """Return whether bars from the store are those of a plain loop over the rows, to the last lot."""
    parts = _store(store, rows)
    found = store.bars([part.path for part in parts], MINUTE_S)
    for part in parts:
        store.remove(part.path)
    expected: dict[int, list[int]] = {}
    step = MINUTE_S * SECOND_NS
    columns = (rows[name].tolist() for name in ("at_ns", "price_ticks", "quantity_lots"))
    for at_ns, price, lots in zip(*columns, strict=True):
        bar = expected.setdefault(at_ns - at_ns % step, [price, price, price, price, 0])
        bar[1:] = [max(bar[1], price), min(bar[2], price), price, bar[4] + lots]
    stored = list(zip(*(found[name].tolist() for name in BARS), strict=True))
    return stored == [(minute, *bar) for minute, bar in expected.items()]


def _recordings(store: ParquetStore) -> dict[str, float]:
    """Return bytes a row of every recording, stored as the import stores it."""
    found = {}
    for path in sorted(RECORDINGS.glob("*.parquet")):
        venue, symbol, *_, what = path.stem.split("_")
        file, decoder, measure = HistoryFile(path, kind=None, dump=""), Decoder(symbol, only_market=True), Measure()
        blocks = [(shape.kind, decoder.decode(shape, block)) for shape, block in file.blocks(lambda done: None)]
        for _, decoded in blocks:
            measure.feed(decoded, None)
        one = Decimal(1)
        steps = Steps(one.scaleb(-measure.price_decimals), one.scaleb(-measure.quantity_decimals), "data")
        staging = store.stage({symbol: steps}, Origin("file", decoder.clock))
        for kind, decoded in blocks:
            staging.add(Series(kind, venue, symbol), decoded.in_steps(steps))
        parts = staging.commit()
        name = f"{symbol} {venue.removeprefix('binance-')} {what}"
        found[name] = round(sum(part.bytes for part in parts) / sum(part.rows for part in parts), 3)
    return found


# --- tapes --------------------------------------------------------------------------------------------------------


def recorded() -> Rows | None:
    """Return the long recording of trades; None where it is not beside this checkout."""
    return rows_of(LTC) if LTC.is_file() else None


def rows_of(path: Path) -> Rows:
    """Return the trades of a file called venue_SYMBOL_what, in ticks and lots of LTCUSDT."""
    decoder = Decoder(path.stem.split("_")[1], only_market=True)
    blocks = [
        decoder.decode(shape, block).in_steps(STEPS["LTCUSDT"])
        for shape, block in HistoryFile(path, kind=None, dump="").blocks(lambda done: None)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def plain(count: int) -> Rows:
    """Return trades from plain distributions: exponential pauses in ms, small moves, skewed quantities."""
    random = np.random.default_rng(7)
    return {
        "at_ns": FIRST_NS + np.cumsum(random.exponential(800, count).astype(np.int64)) * MS,
        "price_ticks": 8_300 + np.cumsum(random.choice([-1, 0, 0, 0, 0, 1], count)),
        "quantity_lots": 1 + random.lognormal(6, 1.8, count).astype(np.int64),
        "buyer_is_maker": random.integers(0, 2, count),
    }


def drawn(source: Rows, count: int, *, seed: int) -> Rows:
    """Return `count` trades whose steps are drawn from those of `source`, within one month; ids without a hole."""
    random = np.random.default_rng(seed)
    chosen = random.integers(1, len(source["at_ns"]), count)
    pauses = np.minimum(source["at_ns"][chosen] - source["at_ns"][chosen - 1], SECOND_NS) // MS
    moves = (source["price_ticks"][chosen] - source["price_ticks"][chosen - 1]) * random.choice([-1, 1], count)
    return {
        "at_ns": FIRST_NS + np.cumsum(pauses) * MS,
        "trade_id": np.arange(1, count + 1, dtype=np.int64),
        "price_ticks": 1_000 + np.abs(7_300 + np.cumsum(moves)),
        "quantity_lots": source["quantity_lots"][chosen],
        "buyer_is_maker": source["buyer_is_maker"][chosen],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
