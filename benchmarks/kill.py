"""The kill switch: 1,000 resting orders in seven symbols, the latch under load, a halt without each of its helpers.

- `core_1000_orders`: the trader's own work in one process, from the halt to PROVEN CLEAR, plus four round trips of 20
  ms (cancel, open orders, fills, balances) as the execution loop makes them.
- `ccxt_1000_orders`: the same orders at the simulated exchange 20 ms away, cancelled and read back through ccxt by the
  loop's own `Requests`. The exchange plays at x60, which lifts its order-rate limit sixtyfold: filling 1,000 orders
  would take minutes otherwise.
- `latch`: `services.halts.halt`, file and database, while the recorded ticks, played at x4, pass the loops.
- `works_without`: the console under its real supervisor with orders resting; one helper after another stands still or
  is gone, `./console halt` is called, and the exchange itself is asked until no order rests, for five more seconds.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final

from benchmarks import demo, figures, sandbox, victims
from benchmarks.figures import Bound

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "XRPUSDT", "SOLUSDT", "LINKUSDT")
ORDERS: Final = 1_000
ROUND_TRIP_S: Final = 0.020
ROUND_TRIPS: Final = 4
CORE_ROUNDS, CCXT_ROUNDS, LATCHES = 30, 8, 100
AT_ONCE: Final = 50
A_MINUTE: Final = 4  # rounds
MINUTE_S: Final = 61.0
RESTING: Final = 5  # orders at the exchange before a helper goes
CLEAR_WITHIN_S: Final = 15.0
STAYS_CLEAR_S: Final = 5.0
HELPERS: Final = ("web", "valkey", "workers", "database", "disk", "runtime")
DISK_MB: Final = 700
BOUNDS: Final = {
    "latch_p99_ms": Bound(at_most=100),
    "core_1000_orders_p99_ms": Bound(at_most=250),
    "ccxt_1000_orders_p99_ms": Bound(at_most=1_000),
    "left_at_venue": Bound(at_most=0),
    "works_without_count": Bound(at_least=len(HELPERS)),
}


def main(argv: Sequence[str]) -> int:
    """Measure all four."""
    parser = figures.options("kill", __doc__)
    parser.add_argument("--only", default="core,ccxt,latch,without", help="parts, separated by commas")
    options = parser.parse_args(argv)
    since, measured = figures.before(), dict[str, Any]()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "core": _core, "ccxt": _ccxt, "latch": _latch, "without": _without
    }  # fmt: skip
    for name in options.only.split(","):
        sandbox.say(f"--- {name}")
        measured |= parts[name]()
    return figures.conclude("kill", measured, BOUNDS, as_json=options.json, since=since)


# --- in one process ---------------------------------------------------------------------------------------------------


def _core() -> dict[str, Any]:
    took = sorted(_core_round() for _ in range(CORE_ROUNDS))
    added = ROUND_TRIPS * ROUND_TRIP_S * 1_000
    return {
        "core_1000_orders_p50_ms": round(figures.percentile(took, 50) + added, 1),
        "core_1000_orders_p99_ms": round(figures.percentile(took, 99) + added, 1),
        "core_work_p99_ms": figures.percentile(took, 99),
    }


def _core_round() -> float:
    """Return how many ms the core works from the halt to PROVEN CLEAR with 1,000 orders resting."""
    from trading.domain import ladder
    from trading.domain.backtest import Lockstep
    from trading.domain.events import HaltRequested
    from trading.domain.fees import DEMO_FEES
    from trading.domain.market import BookTop
    from trading.domain.matching import SimulatedVenue
    from trading.domain.trader import Trader

    settings, limits, instruments = _wide_desk()
    pace, ladder.PACE_LIMIT = ladder.PACE_LIMIT, 10**6  # type: ignore[misc]  # a bench need not wait for the ladder
    now_ns = 1_750_000_000_000_000_000
    venue = SimulatedVenue(instruments, DEMO_FEES)
    venue.open_account(settings.account, {"USDT": settings.opening_cash_quote})
    trader = Trader(settings=settings, limits=limits, instruments=instruments, epoch=1, now_ns=now_ns)
    lockstep = Lockstep(trader, venue, settings.account)
    lockstep.start(now_ns)
    try:
        for turn in range(1, 400):
            for symbol in SYMBOLS:
                now_ns += 20_000_000
                lockstep.step(BookTop(symbol, 100_000, 10**6, 100_001, 10**6, turn, 0, now_ns))
            if len(venue.open_orders(settings.account)) >= ORDERS:
                break
    finally:
        ladder.PACE_LIMIT = pace  # type: ignore[misc]  # as it was
    resting = len(venue.open_orders(settings.account))
    if resting < ORDERS:
        raise RuntimeError(f"only {resting} orders rest.")
    began = time.perf_counter()
    lockstep._deliver(HaltRequested("bench", False), now_ns)
    took_ms = (time.perf_counter() - began) * 1_000
    halt = trader.view(now_ns).halt
    if halt is None or halt.stage != "PROVEN_CLEAR" or venue.open_orders(settings.account):
        raise RuntimeError(f"not proven clear: {halt}")
    return took_ms


def _wide_desk() -> Any:
    from trading.domain.desk import DeskSettings
    from trading.domain.fees import DEMO_FEES
    from trading.domain.grid import GridSettings
    from trading.domain.instruments import Instrument
    from trading.domain.limits import ExecutionStyle, Limits

    capital, most = Decimal(1_000_000), Decimal("0.9")
    grids = tuple(GridSettings(each, ExecutionStyle.MAKER, Decimal("0.0005"), 340, Decimal(50)) for each in SYMBOLS)
    limits = Limits(
        phase="bench", version=1, capital_quote=capital, symbols=frozenset(SYMBOLS),
        execution_styles=frozenset({ExecutionStyle.MAKER}), max_position_fraction=Decimal("0.02"),
        max_symbol_exposure_fraction=most, max_total_exposure_fraction=most, max_daily_drawdown_fraction=most,
        max_daily_drawdown_hard_fraction=most, max_symbol_drawdown_fraction=None, max_daily_trades=10**6,
        max_open_orders=1_050,
    )  # fmt: skip
    instruments = {
        each: Instrument(each, each[:-4], "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5)) for each in SYMBOLS
    }
    return DeskSettings("bench", "USDT", grids, DEMO_FEES, capital), limits, instruments


# --- through ccxt -----------------------------------------------------------------------------------------------------


def _ccxt() -> dict[str, Any]:
    from benchmarks import stage

    far = partial(stage.exchange, dataset="bars", speed=60, latency_ms=ROUND_TRIP_S * 1_000)
    with sandbox.data_folder(), far() as exchange:
        stage.wait_for("prices", lambda: exchange.status()["events_played"] > 200)
        exchange.tell("/sim/pause", paused=True)
        prices = {symbol: _bid(exchange.url, symbol) for symbol in SYMBOLS}
        took, left = asyncio.run(_ccxt_rounds(exchange.url, exchange.status, prices))
    took.sort()
    return {
        "ccxt_1000_orders_p50_ms": figures.percentile(took, 50),
        "ccxt_1000_orders_p99_ms": figures.percentile(took, 99),
        "ccxt_rounds": len(took),
        "left_at_venue": left,
    }


def _bid(url: str, symbol: str) -> Decimal:
    with urllib.request.urlopen(f"{url}/api/v3/depth?symbol={symbol}&limit=5", timeout=5) as answer:
        return Decimal(json.load(answer)["bids"][0][0])


async def _ccxt_rounds(url: str, status: Callable[[], Any], prices: Mapping[str, Decimal]) -> tuple[list[float], int]:
    from trading.adapters.binance_ccxt import Allowance
    from trading.adapters.clock_system import SystemClock
    from trading.adapters.keys_paper import paper_key
    from trading.adapters.venue_ccxt import BinanceVenue
    from trading.runtime.meter import Meter
    from trading.runtime.requests import Requests

    clock, took, left = SystemClock(), list[float](), 0
    key, secret = paper_key("production", "trade")
    allowance = Allowance(limit=10**9)
    asking = BinanceVenue(url, account="production", key="", secret="", instruments={}, allowance=allowance)
    listed = await asking.instruments(SYMBOLS)
    await asking.close()
    venue = BinanceVenue(url, account="production", key=key, secret=secret, instruments=listed, allowance=allowance)
    requests = Requests(venue, clock=clock, meter=Meter(clock.now_ns), troubles=_Silent(), may_send=lambda: True)
    try:
        for number in range(CCXT_ROUNDS):
            sent = await _fill(venue, listed, prices, number)
            took.append(await _cancel_and_verify(requests, sent))
            left = max(left, status()["accounts"]["production"]["open_orders"])
            sandbox.say(f"round {number + 1}: {len(sent)} orders, {took[-1]:.0f} ms")
            if number % A_MINUTE == A_MINUTE - 1 and number + 1 < CCXT_ROUNDS:
                await asyncio.sleep(MINUTE_S)  # the venue's weight of one minute is spent on placing them
    finally:
        await venue.close()
    return took, left


class _Silent:
    def venue_error(self, message: str) -> None:
        raise RuntimeError(message)

    def key_revoked(self, message: str) -> None:
        raise RuntimeError(message)


async def _fill(venue: Any, listed: Any, prices: Mapping[str, Decimal], number: int) -> list[tuple[str, str]]:
    """Rest 1,000 orders far below the market; return (symbol, id)."""
    from trading.domain.orders import Order, OrderType, Purpose, Side

    gate, sent = asyncio.Semaphore(AT_ONCE), list[tuple[str, str]]()
    each = ceil(ORDERS / len(SYMBOLS))

    async def place(symbol: str, count: int) -> None:
        instrument = listed[symbol]
        ticks = instrument.ticks_down(prices[symbol] * Decimal("0.9")) - count
        name = f"gc-production-{number + 1}-{symbol[:3]}{count}"
        lots = instrument.smallest_lots(ticks)
        order = Order(
            name, symbol, Side.BUY, OrderType.LIMIT_MAKER, lots, ticks, None, Purpose.GRID, time.time_ns(), ticks
        )
        async with gate:
            await venue.submit(order)
        sent.append((symbol, name))

    await asyncio.gather(*(place(symbol, count) for symbol in SYMBOLS for count in range(each)))
    return sent


async def _cancel_and_verify(requests: Any, sent: list[tuple[str, str]]) -> float:
    from trading.domain.events import CancelEverything, OrderEnded, ReadVenue, VenueRead
    from trading.domain.orders import OPEN

    began = time.perf_counter()
    ended = await requests.cancel_everything(CancelEverything(SYMBOLS))
    since = tuple((symbol, 10**9) for symbol in SYMBOLS)
    (read,) = await requests.read(ReadVenue("halt", tuple(sent), since))
    took_ms = (time.perf_counter() - began) * 1_000
    canceled = {event.client_order_id for event in ended if isinstance(event, OrderEnded)}
    proven = isinstance(read, VenueRead) and not any(order.status in OPEN for order in read.orders)
    if canceled != {name for _, name in sent} or not proven:
        raise RuntimeError(f"{len(canceled)} of {len(sent)} cancelled, proven {proven}")
    return took_ms


# --- the latch --------------------------------------------------------------------------------------------------------


def _latch() -> dict[str, Any]:
    from benchmarks import stage

    took: list[float] = []
    with sandbox.database():
        from trading.services import halts

        with stage.exchange(dataset="ticks", speed=4) as exchange, stage.loops() as loops:
            loops.wait_until_started()
            stage.wait_for("market data", lambda: exchange.status()["events_played"] > 2_000)
            for _ in range(LATCHES):
                began = time.perf_counter()
                halts.halt(scope=None, by="bench", reason="benchmark", flatten=False, at=datetime.now(UTC))
                took.append((time.perf_counter() - began) * 1_000)
                time.sleep(0.05)
    took.sort()
    return {"latch_p50_ms": figures.percentile(took, 50), "latch_p99_ms": figures.percentile(took, 99)}


# --- without its helpers ----------------------------------------------------------------------------------------------


def _without() -> dict[str, Any]:
    clear_s = {helper: _without_one(helper) for helper in HELPERS}
    works = {helper: seconds is not None for helper, seconds in clear_s.items()}
    return {"works_without": works, "works_without_count": sum(works.values()), "clear_after_s": clear_s}


def _without_one(helper: str) -> float | None:
    """Return after how many seconds no order rests although `helper` is gone; None: some did, or one came again."""
    from benchmarks import stage

    with ExitStack() as stack:
        if helper == "disk":
            small = stack.enter_context(_small_disk())
            if small is None:
                sandbox.say("disk: no small file system could be made here, so this is not known")
                return None
        stack.enter_context(sandbox.data_folder())
        up = stack.enter_context(demo.running())
        exchange = _exchange()
        stage.wait_for(f"{RESTING} resting orders", lambda: _resting(exchange) >= RESTING, limit_s=90)
        stack.enter_context(_gone(helper, up.pid))
        began = time.monotonic()
        halt = stack.enter_context(_halt_command())
        clear_s = _clear_after(exchange, began)
        sandbox.say(f"without {helper}: clear after {clear_s} s")
        halt.kill()
        return clear_s


@contextmanager
def _gone(helper: str, up: int) -> Iterator[None]:
    """Take one helper away for the length of the block."""
    frozen = {"web": ("web",), "valkey": ("valkey",), "workers": ("loops", "tasks"), "database": ("postgres",)}
    with ExitStack() as stack:
        for name in frozen.get(helper, ()):
            stack.enter_context(victims.frozen(up, name))
        if helper == "disk":
            _fill_disk(Path(os.environ["GRIDCONSOLE_DATA_DIR"]))
        if helper == "runtime":  # nothing is left but the exchange and the watchdog
            for name in ("loops", "tasks", "web", "valkey", "postgres"):
                stack.enter_context(victims.frozen(up, name))
        yield


@contextmanager
def _halt_command() -> Iterator["subprocess.Popen[bytes]"]:
    """Call `./console halt` as a person would, in a process of its own."""
    from gridconsole import profile

    process = subprocess.Popen(
        [sys.executable, str(profile.BASE_DIR / "manage.py"), "halt", "--wait", "10"],
        cwd=profile.BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _clear_after(exchange: Any, began: float) -> float | None:
    while _resting(exchange):
        if time.monotonic() - began > CLEAR_WITHIN_S:
            return None
        time.sleep(0.05)
    clear_s = round(time.monotonic() - began, 2)
    until = time.monotonic() + STAYS_CLEAR_S
    while time.monotonic() < until:
        if _resting(exchange):
            return None
        time.sleep(0.1)
    return clear_s


def _exchange() -> Any:
    from benchmarks import stage
    from gridconsole import profile

    return stage.Exchange(profile.read(of_running=True).own_simulator_url, 0)


def _resting(exchange: Any) -> int:
    return sum(account["open_orders"] for account in exchange.status()["accounts"].values())


@contextmanager
def _small_disk() -> Iterator[Path | None]:
    """Mount a small file system where the data folder will be; None where that is not allowed."""
    with tempfile.TemporaryDirectory(prefix="gc-small-") as folder:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], capture_output=True, check=False
        )
        if made.returncode != 0:
            yield None
            return
        before = tempfile.tempdir
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
            subprocess.run(["umount", "-l", folder], capture_output=True, check=False)


def _fill_disk(folder: Path) -> None:
    """Write until nothing more fits."""
    with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 1_048_576)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
