"""The core in a world that loses, doubles, delays and reorders: no promise is broken, and planted faults are found."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.hostile_world import Faults, survive
from trading.domain import halting, reconciliation
from trading.domain.clerk import Clerk
from trading.domain.events import OrderAmbiguous, OrderRefused
from trading.domain.halting import HaltProcess
from trading.domain.ledger import Ledger
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import WORKING, Order, Side
from trading.domain.register import Register

SEEDS = range(5)
ROUGH = Faults(0.1, 0.1, 0.15, 0.05, 0.3, 0.15, 0.2, 0.03, 0.02, 0.01)
HALTING = Faults(late_request=0.25, halt_per_second=0.06, seam_per_second=0.0, crash_per_second=0.02)
UNCLEAR = Faults(late_request=0.35, lost_answer=0.15, dropped_report=0.3, crash_per_second=0.0)
SEAMS = Faults(late_request=0.1, dropped_report=0.2, seam_per_second=0.05)


@pytest.mark.parametrize("style", ExecutionStyle)
@pytest.mark.parametrize(
    "faults", [Faults(), ROUGH, HALTING, UNCLEAR, SEAMS], ids=["bad", "rough", "halting", "unclear", "seams"]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_promise_is_broken(seed: int, faults: Faults, style: ExecutionStyle) -> None:
    survive(seed, style, seconds=40, faults=replace(faults))


@pytest.mark.parametrize("seed", SEEDS)
def test_tight_limits_hold(seed: int) -> None:
    world = survive(
        seed, ExecutionStyle.MAKER, seconds=40, max_open_orders=4, max_daily_trades=9,
        max_symbol_exposure_fraction=Decimal("0.05"), max_total_exposure_fraction=Decimal("0.07"),
    )  # fmt: skip

    assert world.journal.fills


def timeout_is_failure(self: Clerk, event: OrderAmbiguous, now_ns: int) -> None:
    self.on_refused(OrderRefused(event.client_order_id, "TIMEOUT", "", now_ns), now_ns)


def in_flight_is_no_exposure(self: Register) -> dict[str, int]:
    totals: dict[str, int] = {}
    for order in self.open.values():
        if order.side is Side.BUY and order.status in WORKING:
            totals[order.symbol] = totals.get(order.symbol, 0) + order.reference_ticks * order.remaining_lots
    return totals


def clear_without_a_look(self: HaltProcess, known: Register, *, read_at_ns: int, others_open: int) -> bool:
    if self.state.stage != halting.STOPPED:
        return False
    self.state = replace(self.state, stage=halting.PROVEN_CLEAR)
    return True


def forget_the_slot(self: Clerk, order: Order, reason: str, now_ns: int) -> None:
    book = self._core.books[order.symbol]
    self.release(book, book.slot_of(order))


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "not found is proof at once": (reconciliation, "PROOF_AFTER_NS", 0),
    "not found is proof after a second": (reconciliation, "PROOF_AFTER_NS", 10**9),
    "a time-out is a failure": (Clerk, "on_ambiguous", timeout_is_failure),
    "a fill may be booked twice": (Ledger, "knows", lambda self, fill: False),
    "in flight is no exposure": (Register, "open_buys_lots_ticks", in_flight_is_no_exposure),
    "clear is claimed without a look": (HaltProcess, "proves_clear", clear_without_a_look),
    "an unknown order frees its slot": (Clerk, "doubt", forget_the_slot),
}


def survives_all(run: Callable[[int, ExecutionStyle, Faults], object]) -> bool:
    for seed in range(12):
        for style in ExecutionStyle:
            for faults in (UNCLEAR, HALTING, Faults()):
                try:
                    run(seed, style, replace(faults))
                except Exception:  # a broken promise, or a core that fell over
                    return False
    return True


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, wrong = MUTANTS[name]
    assert getattr(place, attribute) is not None
    monkeypatch.setattr(place, attribute, wrong)

    assert not survives_all(lambda seed, style, faults: survive(seed, style, seconds=60, faults=faults))
