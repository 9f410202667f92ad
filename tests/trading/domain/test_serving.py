"""The engine: bars of prices, the newest window, whom to ask, and never an exception out of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.trading.tiny_card import BAR_S, card, shipped_like
from trading.domain.bar_features import FEATURES, frame_of
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.fallback import GOOD_BARS, Verdict
from trading.domain.labels import labels_of
from trading.domain.learned import HORIZONS_S, Fault, ModelFault, Named
from trading.domain.model_card import Card
from trading.domain.serving import Ask, Judged, Realized, Serving, Track, answer

BAR_NS = BAR_S * SECOND_NS
DAY = 86_400 // BAR_S
Floats32 = NDArray[np.float32]


class Fake:
    """Says what it is told to, or what its newest bar says."""

    def __init__(self, said: Card) -> None:
        self.card = said
        self.windows: list[Floats32] = []
        self.steps = 0
        self.fails: Exception | None = None
        self.value: float | None = None

    def predict(self, x: Floats32, known: Floats32) -> Named:
        self.windows.append(x)
        if self.fails is not None:
            raise self.fails
        level = float(x[0, -1, 0]) if self.value is None else self.value
        return {"log_rv": np.full((1, len(HORIZONS_S)), level)}

    def step(self, x: Floats32, known: Floats32, state: Floats32 | None) -> tuple[Named, Floats32]:
        self.steps += 1
        total = (np.zeros((1, 1), np.float32) if state is None else state) * np.float32(0.5) + x[:, :1]
        return {"log_rv": np.repeat(total, len(HORIZONS_S), axis=1).astype(float)}, total


@pytest.fixture(scope="module")
def bars() -> Bars:
    return shipped_like(DAY + 400)


def clock() -> Iterator[int]:
    now = 0
    while True:
        yield now
        now += 1_000


def engine(fake: Fake, bars: Bars, begin: int = DAY + 300) -> Serving:
    serving = Serving({"m": fake}, {"m": fake.card})
    serving.warm(bars.between(0, int(bars.at_ns[begin])))
    return serving


def close(serving: Serving, bars: Bars, number: int) -> list[Ask]:
    """Let one bar happen: four trades in its order, then the time at its end."""
    end_ns = int(bars.at_ns[number])
    asks: list[Ask] = []
    prices = (bars.open[number], bars.high[number], bars.low[number], bars.close[number])
    for quarter, price in enumerate(prices):
        asks += serving.observe(bars.symbol, float(price), float(bars.volume[number]) / 4, end_ns - BAR_NS + quarter)
    return asks + list(serving.until(bars.symbol, end_ns))


def judge(serving: Serving, ask: Ask) -> Judged:
    ticks = clock()
    return serving.take(answer(ask, lambda: next(ticks)), ask.at_ns)


def run(serving: Serving, bars: Bars, numbers: range) -> list[Judged]:
    return [judge(serving, ask) for number in numbers for ask in close(serving, bars, number)]


def test_live_prices_give_the_features_of_the_replay_to_the_last_bit(bars: Bars) -> None:
    serving, frame = engine(Fake(card()), bars), frame_of(bars)

    for number in range(DAY + 300, DAY + 320):
        for ask in close(serving, bars, number):
            place = int((ask.at_ns - frame.at_ns[0]) // BAR_NS)
            window = slice(place - card().window + 1, place + 1)
            assert ask.x.tobytes() == frame.x[window].tobytes()
            assert ask.known.astype(bool).tolist() == frame.known[window].tolist()


def test_a_bar_that_closes_asks_every_model_once(bars: Bars) -> None:
    one, other = Fake(card()), Fake(card(window=9))
    serving = Serving({"a": one, "b": other}, {"a": one.card, "b": other.card})
    serving.warm(bars.between(0, int(bars.at_ns[DAY + 300])))

    asks = close(serving, bars, DAY + 300)

    assert [(ask.model, len(ask.x)) for ask in asks] == [("a", card().window), ("b", 9)]
    assert [judge(serving, ask).verdict for ask in asks] == [Verdict(), Verdict()]


def test_without_a_day_of_bars_a_model_warms(bars: Bars) -> None:
    fake = Fake(card())
    serving = engine(fake, bars, begin=50)

    assert [judged.verdict.fault for judged in run(serving, bars, range(50, 53))] == [Fault.WARMING] * 3
    assert fake.windows == []


def test_bars_that_are_missing_are_masked_in_the_window(bars: Bars) -> None:
    serving = engine(Fake(card(window=6)), bars)
    run(serving, bars, range(DAY + 300, DAY + 303))

    (ask,) = close(serving, bars, DAY + 305)

    assert ask.known.tolist() == [1, 1, 1, 0, 0, 1]
    assert not ask.x[3:5].any()


def test_steps_say_what_the_whole_window_says_and_go_on_after_a_lost_answer(bars: Bars) -> None:
    fake = Fake(card(mode="step", window=40))
    serving = engine(fake, bars)
    first = judge(serving, *close(serving, bars, DAY + 300))
    assert fake.steps == 40

    second = judge(serving, *close(serving, bars, DAY + 301))
    assert fake.steps == 41
    (lost,) = close(serving, bars, DAY + 302)
    serving.give_up(lost, 60_000_000, lost.at_ns)
    third = judge(serving, *close(serving, bars, DAY + 303))

    assert fake.steps == 43  # the bar whose answer was lost, and this one
    frame = frame_of(bars)
    for judged in (first, second, third):
        place = int((judged.at_ns - frame.at_ns[0]) // BAR_NS)
        weights = 0.5 ** np.arange(40)
        assert judged.output is not None
        assert judged.output.log_rv[0] == pytest.approx(
            float(frame.x[place - 39 : place + 1, 0] @ weights[::-1]), abs=1e-5
        )


def test_what_came_of_a_forecast_is_its_label(bars: Bars) -> None:
    serving = engine(Fake(card()), bars)
    labels = labels_of(bars, frame_of(bars), HORIZONS_S).log_rv[:, 0]
    hour = 3_600 // BAR_S
    found: list[Realized] = []

    for number in range(DAY + 300, DAY + 300 + hour + 10):
        for ask in close(serving, bars, number):
            judge(serving, ask)
            found += serving.realized(ask.symbol, ask.at_ns)

    assert [one.at_ns for one in found] == bars.at_ns[DAY + 300 : DAY + 310].tolist()
    assert [one.log_rv for one in found] == pytest.approx(labels[DAY + 300 : DAY + 310].tolist(), rel=1e-9)


FAULTS: dict[str, tuple[Any, Fault]] = {
    "it says so": (ModelFault(Fault.MISMATCH, "features"), Fault.MISMATCH),
    "it raises what it likes": (ZeroDivisionError("1/0"), Fault.BROKEN),
    "it runs out of memory": (MemoryError(), Fault.BROKEN),
    "NaN": (float("nan"), Fault.NOT_FINITE),
    "infinity": (float("inf"), Fault.NOT_FINITE),
    "far from the rule": (5.0, Fault.DISAGREEMENT),
}


@pytest.mark.parametrize("case", FAULTS)
def test_whatever_a_model_does_the_rule_is_used_at_once_and_the_model_only_after_many_good_bars(
    case: str, bars: Bars
) -> None:
    fake = Fake(card())
    serving = engine(fake, bars)
    assert run(serving, bars, range(DAY + 300, DAY + 301))[0].verdict.is_heard
    spoiled, fault = FAULTS[case]

    fake.fails, fake.value = (spoiled, None) if isinstance(spoiled, Exception) else (None, spoiled)
    (faulty,) = run(serving, bars, range(DAY + 301, DAY + 302))
    fake.fails = fake.value = None
    after = run(serving, bars, range(DAY + 302, DAY + 303 + GOOD_BARS))

    assert (faulty.verdict.fault, bool(faulty.verdict.reason)) == (fault, True)
    assert [judged.verdict.fault for judged in after[: GOOD_BARS - 1]] == [Fault.RECOVERING] * (GOOD_BARS - 1)
    assert after[GOOD_BARS - 1].verdict.is_heard
    assert (after[-1].bars, after[-1].fallbacks) == (GOOD_BARS + 3, GOOD_BARS)


def test_a_model_that_could_not_be_loaded_is_a_fault_with_its_reason(bars: Bars) -> None:
    gone = ModelFault(Fault.MISSING, "model.onnx: hash mismatch")
    serving = Serving({"m": gone}, {"m": card()})
    serving.warm(bars.between(0, int(bars.at_ns[DAY + 300])))

    (judged,) = run(serving, bars, range(DAY + 300, DAY + 301))

    assert judged.verdict == Verdict(Fault.MISSING, "model.onnx: hash mismatch")


def test_while_everything_is_halted_nobody_is_asked_and_afterwards_at_once(bars: Bars) -> None:
    fake = Fake(card())
    serving = engine(fake, bars)

    serving.is_halted = True
    (halted,) = run(serving, bars, range(DAY + 300, DAY + 301))
    serving.is_halted = False
    (after,) = run(serving, bars, range(DAY + 301, DAY + 302))

    assert halted.verdict.fault is Fault.HALTED
    assert len(fake.windows) == 1
    assert after.verdict.is_heard


def test_a_model_whose_bars_stop_coming_is_told_once_to_be_stale(bars: Bars) -> None:
    serving = engine(Fake(card()), bars)
    (judged,) = run(serving, bars, range(DAY + 300, DAY + 301))
    ttl_ns = card().ttl_s * SECOND_NS

    assert list(serving.look(judged.at_ns + ttl_ns)) == []
    ((model, symbol, verdict),) = serving.look(judged.at_ns + ttl_ns + SECOND_NS)
    assert (model, symbol, verdict.fault) == ("m", bars.symbol, Fault.STALE)
    assert list(serving.look(judged.at_ns + ttl_ns + 2 * SECOND_NS)) == []


def test_after_a_seam_no_bar_spans_it(bars: Bars) -> None:
    serving = engine(Fake(card()), bars)
    run(serving, bars, range(DAY + 300, DAY + 301))
    at_ns = int(bars.at_ns[DAY + 300])
    serving.observe(bars.symbol, 100.0, 1.0, at_ns + 1)

    serving.restart()

    assert not serving.observe(bars.symbol, 200.0, 1.0, at_ns + BAR_NS // 2)
    assert not serving.until(bars.symbol, at_ns + BAR_NS)


def test_other_models_go_on_with_the_bars_that_are_known(bars: Bars) -> None:
    fake = Fake(card())
    before = engine(fake, bars)
    run(before, bars, range(DAY + 300, DAY + 302))
    other = Fake(card(stage=1))
    after = Serving({"m": fake, "n": other}, {"m": fake.card, "n": other.card})

    after.adopt(before)
    asks = close(after, bars, DAY + 302)
    judged = {ask.model: judge(after, ask) for ask in asks}

    assert {model: one.verdict.is_heard for model, one in judged.items()} == {"m": True, "n": True}
    assert (judged["m"].bars, judged["n"].bars) == (3, 1)


def test_the_rule_knows_nothing_before_it_is_warm(bars: Bars) -> None:
    track = Track("BTCUSDT", BAR_S, 4)

    assert track.rule_log_rv is None
    assert track.realized is None
    assert len(FEATURES) == len(card().features)
