"""Every fault of a model, put into a loop that runs: the rule within one bar, no exception, and a row that says why."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.trading.runtime.model_desk import DAY, SYMBOL, Model, ModelDesk, advices, forecasts, made
from tests.trading.tiny_card import card
from trading.domain.bars import SECOND_NS
from trading.domain.fallback import GOOD_BARS
from trading.domain.learned import Fault, ModelFault

HOUR = 60


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    yield
    for desk in made:
        if isinstance(desk.model, Model) and desk.model.hangs is not None:
            desk.model.hangs.set()
        desk.learned._asker.close()
    made.clear()


async def begun(desk: ModelDesk) -> ModelDesk:
    await desk.learned.refresh()
    return desk


def model_of(desk: ModelDesk) -> Model:
    assert isinstance(desk.model, Model)
    return desk.model


async def _raise(desk: ModelDesk) -> None:
    model_of(desk).fails = ZeroDivisionError("1/0")


async def _mismatch(desk: ModelDesk) -> None:
    model_of(desk).fails = ModelFault(Fault.MISMATCH, "log_rv has shape (1, 2), not (1, 3).")


async def _nan(desk: ModelDesk) -> None:
    model_of(desk).value = float("nan")


async def _far(desk: ModelDesk) -> None:
    model_of(desk).value = 3.0


async def _hang(desk: ModelDesk) -> None:
    model_of(desk).hangs = threading.Event()


async def _halt(desk: ModelDesk) -> None:
    desk.is_halted = True
    await desk.learned.refresh()


async def _gone(desk: ModelDesk) -> None:
    """It is another file now, as if the loop had begun anew."""
    desk.model = ModelFault(Fault.MISSING, "model.onnx: there is no such artefact.")
    desk.roster_of = ("n",)
    await desk.learned.refresh()


async def _drift(desk: ModelDesk) -> None:
    """What it was trained on was another market."""
    bins = tuple(tuple(value + 50 for value in row) for row in card().bins)
    desk.said = replace(card(), bins=bins)
    model_of(desk).card = desk.said
    await desk.learned.refresh()


async def _outlier(desk: ModelDesk) -> None:
    """What it was trained on was much calmer."""
    desk.said = replace(card(), spread=tuple(value / 20 for value in card().spread))
    model_of(desk).card = desk.said
    desk.roster_of = ("n",)
    await desk.learned.refresh()


FAULTS: dict[Fault, Callable[[ModelDesk], object]] = {
    Fault.BROKEN: _raise,
    Fault.MISMATCH: _mismatch,
    Fault.NOT_FINITE: _nan,
    Fault.DISAGREEMENT: _far,
    Fault.LATE: _hang,
    Fault.HALTED: _halt,
    Fault.MISSING: _gone,
    Fault.OUTLIER: _outlier,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_rule_takes_over_within_one_bar_and_the_row_says_why(fault: Fault) -> None:
    desk = await begun(ModelDesk())
    (before,) = advices(await desk.bar())
    assert before.advice is not None

    await FAULTS[fault](desk)  # type: ignore[misc]  # each is a coroutine function
    began = time.monotonic()
    told = advices(await desk.bar())
    took_s = time.monotonic() - began

    assert [one.advice for one in told] == [None]
    last = (await desk.stored()).heard[-1]
    assert (last.symbol, last.fault, bool(last.reason)) == (SYMBOL, fault, True)
    assert desk.learned.errors == 0
    assert took_s < 1.0  # the figure itself is measured by `bench inference`, on a quiet host


async def test_a_model_that_is_cold_says_nothing_and_the_row_says_why() -> None:
    desk = await begun(ModelDesk(warm=False))

    told = advices(await desk.bar())

    assert [one.advice for one in told] == [None]
    assert (await desk.stored()).heard[-1].fault == Fault.WARMING


async def test_advice_is_taken_back_when_no_bar_comes() -> None:
    desk = await begun(ModelDesk())
    await desk.bar()

    desk.clock.now += card().ttl_s * SECOND_NS + SECOND_NS
    await desk.learned.look()

    assert [one.advice for one in advices(await desk.published())] == [None]


async def test_what_has_drifted_is_not_heard() -> None:
    desk = ModelDesk(first=2 * DAY + 320)
    await _drift(desk)

    told = advices(await desk.bar())

    assert [one.advice for one in told] == [None]
    assert (await desk.stored()).heard[-1].fault == Fault.DRIFT


async def test_a_model_that_failed_comes_back_after_good_bars() -> None:
    desk = await begun(ModelDesk())
    model_of(desk).value = float("nan")
    await desk.bar()
    model_of(desk).value = None

    told = [advices(await desk.bar()) for _ in range(GOOD_BARS)]

    assert [one[0].advice is not None for one in told if one] == [True]
    faults = [one.fault for one in (await desk.stored()).heard]
    assert faults == [Fault.NOT_FINITE, *[Fault.RECOVERING] * (GOOD_BARS - 1), ""]


async def test_an_answer_that_comes_late_is_never_used() -> None:
    desk = await begun(ModelDesk())
    hangs = model_of(desk).hangs = threading.Event()
    await desk.bar()

    model_of(desk).hangs = None
    second = advices(await desk.bar())  # the model still owes its answer: it is not asked
    hangs.set()
    await asyncio.gather(*desk.learned._asker._hung.values())

    assert second == []
    third = advices(await desk.bar())
    assert third == []
    faults = [one.fault for one in (await desk.stored()).heard]
    assert faults == [Fault.LATE, Fault.LATE, Fault.RECOVERING]


async def test_the_rule_based_forecast_goes_on_whatever_happens_to_models() -> None:
    spoiled, untouched = await begun(ModelDesk()), await begun(ModelDesk(state="RETIRED"))
    spoiled.learned._serving.observe = None  # type: ignore[union-attr, method-assign]  # as broken as can be

    told = [[forecasts(await desk.bar()) for _ in range(40)] for desk in (spoiled, untouched)]

    assert told[0] == told[1]
    assert any(told[0])
    assert spoiled.learned.errors > 0


# --- who is heard -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "canary_symbol", "is_heard"),
    [("CHAMPION", "", True), ("CANARY", SYMBOL, True), ("CANARY", "ETHUSDT", False), ("SHADOW", "", False)],
)
async def test_grids_hear_the_champion_and_on_its_symbol_a_canary(
    state: str, canary_symbol: str, is_heard: bool
) -> None:
    desk = await begun(ModelDesk(state=state, canary_symbol=canary_symbol))

    told = advices(await desk.bar())

    assert bool(told) == is_heard
    assert (await desk.stored()).heard[-1].fault == ""


async def test_advice_of_a_model_that_is_no_longer_champion_is_taken_back_at_once() -> None:
    desk = await begun(ModelDesk())
    await desk.bar()

    desk.state = "SHADOW"
    await desk.learned.refresh()

    assert [one.advice for one in advices(await desk.published())] == [None]


async def test_advice_ends_when_the_bar_of_its_model_is_too_old() -> None:
    desk = await begun(ModelDesk())

    (told,) = advices(await desk.bar())

    assert told.advice is not None
    assert told.advice.valid_until_ns == told.advice.at_ns + card().ttl_s * SECOND_NS


async def test_what_came_of_a_forecast_is_stored_an_hour_later() -> None:
    desk = await begun(ModelDesk())

    for _ in range(HOUR + 1):
        await desk.bar()

    stored = await desk.stored()
    assert [one.at for one in stored.came] == [stored.heard[0].at]


async def test_rows_the_database_does_not_take_are_counted_and_the_loop_goes_on() -> None:
    desk = await begun(ModelDesk(database_fails=True))
    await desk.bar()

    await desk.learned.store_all()
    told = advices(await desk.bar())

    assert desk.learned.lost_rows == 1
    assert [one.advice is not None for one in told] == [True]


async def test_without_a_model_nothing_is_kept_and_nothing_is_asked() -> None:
    desk = ModelDesk()
    desk.roster_of = ()
    await begun(desk)

    told = await desk.bar()

    assert advices(told) == []
    assert desk.learned._serving is None
    assert not len(await desk.stored())


async def test_a_model_whose_store_was_away_is_asked_for_again() -> None:
    sound = Model()
    desk = ModelDesk(model=ModelFault(Fault.MISSING, "the store does not answer."))
    await begun(desk)
    await desk.bar()

    desk.model = sound
    await desk.learned.refresh()
    told = advices(await desk.bar())

    assert [one.advice is not None for one in told] == [True]
