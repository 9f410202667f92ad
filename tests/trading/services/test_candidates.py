"""A trial becomes the candidate of a paper grid: never of another account, and only when the desk starts empty."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from trading import bootstrap
from trading.domain.backtest_settings import BacktestSettings, read
from trading.domain.events import PersistFill
from trading.domain.orders import Side
from trading.domain.places import Footing, as_json
from trading.models import Account, AuditEvent, Grid, GridCandidate, Mandate
from trading.selectors import recovery
from trading.services import candidates
from trading.services.candidates import UnableToAdopt
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
FITS = {"mode": "long", "style": "TAKER", "lot": "6", "levels": "7", "step": "0.004", "grid": "arithmetic"}


@pytest.fixture
def micro() -> Account:
    load_demo(at=NOW)
    return Account.objects.get(slug="micro")


def adopted(account: Account, trial: int = 3, **changed: str) -> GridCandidate:
    found = {"counts": {"tried": 40}, "deflated": {"probability": 0.4}, "pareto": [1, 2]}
    return candidates.adopt(
        account=account, settings=read({**FITS, **changed}), search=12, trial=trial, found=found, by="trader", at=NOW
    )


def grid(account: Account) -> Grid:
    return Grid.objects.get(account=account, symbol="BTCUSDT")


def test_adopting_changes_no_grid_and_leaves_its_row(micro: Account) -> None:
    before = grid(micro).chosen

    made = adopted(micro)

    assert grid(micro).chosen == before
    assert made.found == {"counts": {"tried": 40}, "deflated": {"probability": 0.4}, "out_of_sample": None,
                          "trials_sha256": None}  # fmt: skip
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor, event.action, event.subject) == ("trader", "candidate.adopted", "grid:micro:BTCUSDT")
    assert event.payload["settings"]["levels"] == 7


def test_a_desk_that_starts_empty_takes_it_up_once(micro: Account) -> None:
    adopted(micro)
    Grid.objects.filter(account=micro).update(levels_ticks=[1, 2, 3])

    assert bootstrap.take_up_candidates("micro")
    assert not bootstrap.take_up_candidates("micro")

    taken = grid(micro)
    assert (taken.slots, taken.step_fraction, taken.lot_quote, taken.spacing, taken.style, taken.levels_ticks) == (
        6, Decimal("0.004"), Decimal(6), "arithmetic", "TAKER", [],
    )  # fmt: skip
    assert recovery.grid_settings(micro)[0] == taken.chosen
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor, event.action) == ("housekeeping", "candidate.taken_up")
    assert event.payload["after"]["slots"] == 6
    assert event.payload["before"]["slots"] != 6
    assert GridCandidate.objects.get().taken_up_at is not None


def test_a_symbol_that_is_held_or_at_work_waits(micro: Account) -> None:
    adopted(micro)

    assert candidates.take_up(account=micro, busy={"BTCUSDT"}, at=NOW) == []
    assert grid(micro).slots != 6
    assert candidates.take_up(account=micro, busy={"ETHUSDT"}, at=NOW) == ["BTCUSDT"]


@pytest.mark.parametrize("broken", [{"levels": 1}, {"nonsense": "1"}, {"lot": "7"}, {"mode": "short"}])
def test_one_that_no_longer_holds_waits_and_keeps_no_desk_from_starting(micro: Account, broken: dict[str, Any]) -> None:
    made = adopted(micro)
    GridCandidate.objects.update(settings={**made.settings, **broken})

    assert not bootstrap.take_up_candidates("micro")
    assert grid(micro).slots != 6
    assert candidates.anything_waits(micro)


class Bought:
    """As much of a stored state as tells what is held."""

    orders = ()

    def __init__(self, *lots: int) -> None:
        self.fills = [self._fill(one) for one in lots]

    @staticmethod
    def _fill(lots: int) -> Any:
        fill = type(
            "F", (), {"symbol": "BTCUSDT", "quantity_lots": abs(lots), "side": Side.BUY if lots > 0 else Side.SELL}
        )
        return type(PersistFill.__name__, (), {"fill": fill})


@pytest.mark.parametrize(("lots", "busy"), [((), set()), ((3, -3), set()), ((3, -2), {"BTCUSDT"})])
def test_what_was_bought_and_not_sold_is_held(lots: tuple[int, ...], busy: set[str]) -> None:
    assert bootstrap._busy(Bought(*lots)) == busy  # type: ignore[arg-type]  # no more of it is looked at


def test_another_candidate_takes_the_place_of_the_first(micro: Account) -> None:
    first, second = adopted(micro, 3), adopted(micro, 5)

    first.refresh_from_db()
    assert first.dropped_at == NOW
    assert second.dropped_at is None


def test_a_candidate_is_withdrawn(micro: Account) -> None:
    adopted(micro)

    candidates.withdraw(account=micro, symbol="BTCUSDT", by="trader", at=NOW)

    assert not candidates.anything_waits(micro)
    assert AuditEvent.objects.latest("sequence").action == "candidate.withdrawn"
    with pytest.raises(UnableToAdopt, match="Nothing is proposed for BTCUSDT"):
        candidates.withdraw(account=micro, symbol="BTCUSDT", by="trader", at=NOW)


@pytest.mark.parametrize("mode", ["TESTNET", "LIVE"])
def test_nothing_goes_straight_to_an_account_beyond_paper(micro: Account, mode: str) -> None:
    adopted(micro)
    Account.objects.filter(pk=micro.pk).update(mode=mode)

    with pytest.raises(UnableToAdopt, match="candidates go to a paper account"):
        adopted(micro)
    assert not bootstrap.take_up_candidates("micro")  # also not one that was proposed before
    assert grid(micro).slots != 6


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"mode": "short", "grid": "geometric"}, "mode: short runs in the backtest lab only; use long or neutral"),
        ({"reinvest": "1", "reinvest_every_s": "60"}, "reinvest_every_s: it runs in the backtest lab only"),
        ({"carried": "roll", "trail_down_to": "1000"}, "carried: roll runs in the backtest lab only"),
        ({"max_drawdown": "0.1"}, "max_drawdown: it is a limit of the mandate"),
        ({"symbol": "SOLUSDT"}, "runs no grid on SOLUSDT"),
        ({"style": "MAKER"}, "Style MAKER is not granted"),
        ({"lot": "7"}, "A lot of 7 is more than the 6"),
    ],
)
def test_what_cannot_run_there_is_refused_with_its_reason(micro: Account, changed: dict[str, str], reason: str) -> None:
    with pytest.raises(UnableToAdopt, match=reason):
        adopted(micro, 3, **changed)
    assert not GridCandidate.objects.exists()


def test_a_neutral_grid_is_not_adopted_where_nothing_may_be_bought_at_the_market(micro: Account) -> None:
    Mandate.objects.filter(account=micro).update(execution_styles=["MAKER"])

    with pytest.raises(UnableToAdopt, match="buys at the market when it is laid"):
        adopted(micro, mode="neutral", style="MAKER")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"trail_up_to": "70000"}, {"trail_up_to": "70000", "step_fraction": "0.004"}),
        ({"lower": "50000", "upper": "60000", "step": ""}, {"lower": "50000", "upper": "60000"}),
        ({"mode": "neutral"}, {"mode": "neutral", "step_fraction": "0.004"}),
        ({"atr_multiple": "2", "step": ""}, {"atr_multiple": "2", "step_fraction": None}),
    ],
    ids=["one that moves", "a fixed range", "a neutral one", "a measured step"],
)
def test_a_grid_that_moves_is_taken_up_whole(micro: Account, changed: dict[str, str], words: dict[str, str]) -> None:
    before = {"footing": as_json(Footing(shape=("another",))), "spec": {"stop": "1", "step_fraction": "0.002"}}
    Grid.objects.filter(account=micro, symbol="BTCUSDT").update(**before)
    adopted(micro, 3, **changed)

    assert bootstrap.take_up_candidates("micro")

    taken = grid(micro)
    assert {name: taken.spec.get(name) for name in words} == words
    assert (taken.footing, taken.spec.get("stop"), taken.chosen.slots) == (None, None, 6)


def test_the_default_step_is_written_out(micro: Account) -> None:
    adopted(micro, step="")

    bootstrap.take_up_candidates("micro")

    assert grid(micro).step_fraction == BacktestSettings().step_fraction
