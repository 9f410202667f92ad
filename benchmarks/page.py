"""From pressing Run to the first result on the page: half a million stored ticks, the whole console, a real browser.

The clock starts when the form is sent and stops two frames after the result stands on the next page, both read in the
browser. A first run warms everything; then grids of different heights are run, so that none is the one before.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import data, demo, figures, onscreen, sandbox
from benchmarks.figures import Bound
from gridconsole import profile

if TYPE_CHECKING:
    from playwright.sync_api import Page

TICKS: Final = 550_000
ROUNDS: Final = 20
LIMIT_MS: Final = 120_000  # a first backtest may compile the kernel
FEWEST_LEVELS: Final = 20
CASH: Final = "100000"
SOURCE: Final = "store:trades/binance-spot|LTCUSDT"
BOUNDS: Final = {"first_result_ms": Bound(at_most=1_000)}
# One storage for all pages of this address; the clock is the machine's, so it goes on while a page is left.
WATCH: Final = """() => {
    document.addEventListener("submit", () => sessionStorage.setItem("asked", Date.now()), true);
    const look = () => {
        if (!document.querySelector(".kpi")) return requestAnimationFrame(look);
        requestAnimationFrame(() => requestAnimationFrame(() => sessionStorage.setItem("shown", Date.now())));
    };
    if (/^\\/backtests\\/\\d+\\/$/.test(location.pathname)) look();
}"""


def main(argv: Sequence[str]) -> int:
    """Start the console, import the ticks, press Run again and again."""
    parser = figures.options("page", __doc__)
    parser.add_argument("--ticks", type=int, default=TICKS, help=f"stored ticks ({TICKS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.data_folder(), demo.running():
        _import(options.ticks)
        measured = _measure(options.rounds)
    return figures.conclude("page", {"ticks": options.ticks, **measured}, BOUNDS, as_json=options.json, since=since)


def _import(ticks: int) -> None:
    """Store trades drawn from a recording, by the command that people use."""
    sandbox.say(f"importing {ticks:,} ticks ...")
    with tempfile.TemporaryDirectory(prefix="gc-bench-page-") as folder:
        path = Path(folder) / "binance-spot_LTCUSDT_trades.parquet"
        pq.write_table(as_dump(data.drawn(data.recorded() or data.plain(ticks), ticks, seed=1)), path)
        command = [sys.executable, str(profile.BASE_DIR / "manage.py"), "data", "import", str(path)]
        subprocess.run(
            [*command, "--symbol", "LTCUSDT", "--venue", "binance-spot"],
            cwd=profile.BASE_DIR, check=True, capture_output=True,
        )  # fmt: skip


def as_dump(rows: data.Rows) -> pa.Table:
    """Return trades in the shape of the recordings: times in ns, prices and quantities as decimals."""
    return pa.table(
        {
            "ts_ns": rows["at_ns"],
            "trade_id": rows["trade_id"],
            "price": _decimals(rows["price_ticks"], 2),
            "qty": _decimals(rows["quantity_lots"], 3),
            "is_buyer_maker": rows["buyer_is_maker"] != 0,
        }
    )


def _decimals(units: data.Integers, scale: int) -> pa.Array:
    """Return whole numbers of 10**-scale, none below zero, as decimals: 16 bytes each, the lower half first."""
    words = np.zeros((len(units), 2), "<i8")
    words[:, 0] = units
    return pa.Array.from_buffers(pa.decimal128(18, scale), len(units), [None, pa.py_buffer(words)])


def _measure(rounds: int) -> dict[str, Any]:
    import django

    django.setup()
    with onscreen.pages(demo.session_cookie("trader")) as open_page:
        if open_page is None:
            return {"not_run": "no browser"}
        page = open_page()
        page.add_init_script(f"({WATCH})()")
        first = _run(page, FEWEST_LEVELS)
        times = [_run(page, FEWEST_LEVELS + 1 + number) for number in range(rounds)]
    return {
        "first_result_ms": round(median(times)),
        "first_result_worst_ms": max(times),
        "cold_ms": first,
        "rounds_ms": times,
    }


def _run(page: "Page", levels: int) -> int:
    """Return how long the result of one run took, from pressing Run until it was painted, ms."""
    page.goto("/backtests/")
    page.select_option("#lab-form [name=source]", SOURCE)
    page.fill("#lab-form [name=levels]", str(levels))
    page.fill("#lab-form [name=cash]", CASH)
    page.wait_for_load_state("networkidle")
    page.evaluate("() => { sessionStorage.removeItem('asked'); sessionStorage.removeItem('shown'); }")
    page.click("#lab-form button:has-text('Run')")
    page.wait_for_function("() => sessionStorage.getItem('shown')", timeout=LIMIT_MS)
    took = int(page.evaluate("() => sessionStorage.getItem('shown') - sessionStorage.getItem('asked')"))
    sandbox.say(f"{levels} levels: {took} ms")
    return took


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
