"""What the price did after a desk's fills: out of the recording alone, kept once, and unknown where it is not there."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.trading.measured import BTC, Measured
from trading.adapters.recorder import TapeRecorder
from trading.domain.history import Steps
from trading.domain.market import BookTop
from trading.domain.orders import Side
from trading.models import FillMark
from trading.selectors import mark_outs as selectors
from trading.selectors.recovery import nanoseconds
from trading.services import mark_outs, recordings

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 23, 50, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = AT + timedelta(minutes=5)
STEPS = {BTC: Steps(Decimal("0.01"), Decimal("0.00001"), "instrument")}


@pytest.fixture(autouse=True)
def desk(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> Measured:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    monkeypatch.setattr(connection, "close", lambda: None)  # the connection of the test holds its transaction
    return Measured.desk()


def record(*bids: int, every: timedelta = SECOND, seam_before: int = -1) -> None:
    """Record one book top after the other from `AT` on."""
    tape = TapeRecorder(save=lambda tape: recordings.keep(tape, venue="simulator", steps=STEPS), symbols=tuple(STEPS))
    for number, bid in enumerate(bids):
        at_ns = nanoseconds(AT + number * every)
        if number == seam_before:
            tape.mark("lap 2", at_ns)
        tape.keep([BookTop(BTC, bid, 5, bid + 2, 6, 1 + number, 0, at_ns)])
    tape.step()
    tape.flush()


def fill(desk: Measured, second: float, side: Side = Side.BUY) -> None:
    at = AT + second * SECOND
    desk.fill(desk.ask(at, side=side), at)


def words(desk: Measured) -> str:
    return selectors.recent(desk.account, BTC, LATER).why


def kept() -> list[tuple[Decimal, Decimal]]:
    return list(FillMark.objects.order_by("fill__at").values_list("mark", "later"))


def test_a_fill_keeps_its_mark_and_the_one_ten_seconds_on_once(desk: Measured) -> None:
    record(*range(10_000, 10_030))
    fill(desk, 3)
    fill(desk, 4.5, Side.SELL)

    assert mark_outs.measure(LATER) == 2

    assert kept() == [(Decimal("100.03"), Decimal("100.13")), (Decimal("100.05"), Decimal("100.15"))]
    assert mark_outs.measure(LATER) == 0


def test_a_day_that_was_sorted_says_the_same(desk: Measured, django_capture_on_commit_callbacks: Any) -> None:
    record(*range(10_000, 10_030))
    fill(desk, 3)
    with django_capture_on_commit_callbacks(execute=True):
        assert recordings.tend(AT + timedelta(minutes=15)).sorted_days == 1

    mark_outs.measure(AT + timedelta(minutes=20))

    assert kept() == [(Decimal("100.03"), Decimal("100.13"))]


def test_what_was_not_recorded_is_unknown(desk: Measured) -> None:
    record(*range(10_000, 10_030), seam_before=20)
    fill(desk, 9.5)  # its horizon ends behind the seam
    fill(desk, 25)  # the recording ends too early
    fill(desk, 120)

    assert mark_outs.measure(LATER) == 0
    assert mark_outs.measure(LATER + timedelta(days=30)) == 0
    assert "0 fills of the last 7 days have 10 s after them recorded (3 more have not)" in words(desk)


def test_a_fill_waits_for_what_the_recorder_still_holds(desk: Measured) -> None:
    fill(desk, 3)
    assert mark_outs.measure(AT + 2 * mark_outs.SETTLED) == 0
    record(*range(10_000, 10_030))

    assert mark_outs.measure(AT + 3 * SECOND + mark_outs.SETTLED) == 0
    assert mark_outs.measure(AT + 4 * SECOND + mark_outs.SETTLED) == 1


def test_a_file_that_is_gone_costs_its_fills_and_nothing_else(desk: Measured, settings: Any) -> None:
    record(*range(10_000, 10_030))
    fill(desk, 3)
    for path in Path(settings.MARKET_STORE_DIR).rglob("*.parquet"):
        path.unlink()

    assert mark_outs.measure(LATER) == 0
    assert kept() == []


def test_twenty_fills_make_a_mark_out_of_this_desk_and_symbol_alone(desk: Measured) -> None:
    record(*[10_000] * 20, *[9_900] * 40)
    for number in range(20):
        assert selectors.recent(desk.account, BTC, LATER).mark_out.fraction is None
        fill(desk, 10 + number / 10)
        mark_outs.measure(LATER)

    found = selectors.recent(desk.account, BTC, LATER)

    assert found.mark_out == (Decimal("0.01"), 20)
    assert found.words == "1.0000 % against us within 10 s, mean of 20 fills"
    assert found.why == ""
    assert selectors.recent(desk.account, "ETHUSDT", LATER).mark_out == (None, 0)
    old = selectors.recent(desk.account, BTC, AT + selectors.RECENT + timedelta(minutes=1))
    assert old.words == "unknown"
    assert old.why.endswith("unknown: 0 fills of the last 7 days have 10 s after them recorded, 20 are needed.")
