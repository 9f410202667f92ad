"""HALT with a full book of resting orders at a venue 20 ms away: latched, cancelled, read back, proven.

Real ticks at 1,000 a second go on meanwhile. A round asks `services.halts.halt` for everything, as the button does, and
watches the durable row until it says PROVEN_CLEAR; then the venue itself is asked, and the halt is released. So that a
round need not wait until the ladder has filled at the venue's pace, the ladder's own pace limit is lifted; rounds are
far enough apart for the request weight of the venue, of which filling and proving a full book takes some 600.
"""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound

DESK: Final = "production"
ORDERS: Final = 100
ROUND_TRIP_MS: Final = 20.0
SPEED: Final = 4  # some 1,000 ticks a second
POLL_S: Final = 0.002
PROOF_LIMIT_S: Final = 20.0
PACE: Final = 10_000
ROUND_EVERY_S: Final = 7.5
LATCHED: Final = "LATCHED"
PROVEN: Final = "PROVEN_CLEAR"
STEP_FRACTION: Final = Decimal("0.0005")
SLOTS: Final = 110
LOT_QUOTE: Final = Decimal(150)
BOUNDS: Final = {
    "latch_ms": Bound(at_most=100),
    "proven_clear_p99_ms": Bound(at_most=500),
    "orders_at_latch": Bound(at_least=ORDERS),
    "left_at_venue": Bound(at_most=0),
}


def main(argv: Sequence[str]) -> int:
    """Halt again and again."""
    parser = figures.options("halt", __doc__)
    parser.add_argument("--seconds", type=float, default=90.0)
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database():
        rounds = _measure(options.seconds)
    return figures.conclude("halt", _figures(rounds), BOUNDS, as_json=options.json, since=since)


def _measure(seconds: float) -> list[dict[str, float]]:
    from benchmarks import stage
    from trading.domain.limits import ExecutionStyle

    stage.retune(
        DESK,
        style=ExecutionStyle.MAKER,
        step_fraction=STEP_FRACTION,
        slots=SLOTS,
        lot_quote=LOT_QUOTE,
        open_orders=ORDERS,
    )
    rounds: list[dict[str, float]] = []
    far = stage.exchange(dataset="ticks", speed=SPEED, latency_ms=ROUND_TRIP_MS)
    with far as exchange, stage.loops(pace=PACE) as loops:
        loops.wait_until_started()
        began = time.monotonic()
        while not rounds or time.monotonic() - began < seconds:
            rounds.append(_round(exchange))
            said = ", ".join(f"{name} {value:.0f}" for name, value in rounds[-1].items())
            sandbox.say(f"round {len(rounds)}: {said}")
            time.sleep(max(0.0, began + len(rounds) * ROUND_EVERY_S - time.monotonic()))
    return rounds


def _figures(rounds: Sequence[dict[str, float]]) -> dict[str, Any]:
    columns = {name: sorted(one[name] for one in rounds) for name in rounds[0]}
    return {
        "latch_ms": round(columns["latch_ms"][-1], 1),
        "latch_p50_ms": figures.percentile(columns["latch_ms"], 50),
        "stopped_p50_ms": figures.percentile(columns["stopped_ms"], 50),
        "proven_clear_p50_ms": figures.percentile(columns["proven_ms"], 50),
        "proven_clear_p99_ms": figures.percentile(columns["proven_ms"], 99),
        "rounds": len(rounds),
        "orders_at_latch": int(columns["orders"][0]),
        "left_at_venue": int(columns["left"][-1]),
        "venue_round_trip_ms": ROUND_TRIP_MS,
    }


def _round(exchange: Any) -> dict[str, float]:
    """Fill the book, halt, watch the proof, ask the venue, release."""
    from benchmarks import stage
    from trading.services import halts

    stage.wait_for(f"{ORDERS} resting orders", lambda: _open_orders(exchange) >= ORDERS)
    resting = _open_orders(exchange)
    began = time.perf_counter()
    latched = halts.halt(scope=None, by="bench", reason="benchmark", flatten=False, at=datetime.now(UTC))
    latch_ms = (time.perf_counter() - began) * 1_000
    stopped_ms, proven_ms = _watch([halt.pk for halt in latched], began)
    left = _open_orders(exchange)
    for halt in latched:
        stage.wait_for("release", partial(_is_released, halt.account))
    return {"orders": resting, "latch_ms": latch_ms, "stopped_ms": stopped_ms, "proven_ms": proven_ms, "left": left}


def _watch(keys: Sequence[int], began: float) -> tuple[float, float]:
    """Return after how many ms the rows of every desk said stopped, and proven clear."""
    from benchmarks import stage

    stopped_ms = 0.0
    while True:
        stages = _stages(keys)
        past_ms = (time.perf_counter() - began) * 1_000
        if not stopped_ms and LATCHED not in stages:
            stopped_ms = past_ms
        if stages.count(PROVEN) == len(keys):
            return stopped_ms, past_ms
        if past_ms > PROOF_LIMIT_S * 1_000:
            raise stage.UnableToMeasure(f"not proven clear within {PROOF_LIMIT_S:g} s: {', '.join(stages)}.")
        time.sleep(POLL_S)


def _stages(keys: Sequence[int]) -> list[str]:
    from trading.models import Halt

    return list(Halt.objects.filter(pk__in=keys).values_list("stage", flat=True))


def _is_released(account: Any) -> bool:
    from trading.services import halts

    try:
        halts.release(account=account, by="bench", note="next round", at=datetime.now(UTC))
    except halts.UnableToRelease:
        return False
    return True


def _open_orders(exchange: Any) -> int:
    return sum(account["open_orders"] for account in exchange.status()["accounts"].values())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
