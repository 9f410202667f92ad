"""One model asked about several symbols at once says of each what it says when asked alone, and one spoils no other."""

from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.trading.tiny_card import COUNT, card
from trading.domain.learned import HORIZONS_S, Fault, ModelFault, Named
from trading.domain.serving import Ask, answer, answers

Floats32 = NDArray[np.float32]


class Model:
    """Adds the first feature to its state; refuses a batch that holds the number it fears."""

    def __init__(self, mode: str = "step", fears: float | None = None) -> None:
        self.card, self.fears = card(mode=mode), fears
        self.asked: list[int] = []

    def predict(self, x: Floats32, known: Floats32) -> Named:
        self.asked.append(len(x))
        return {"log_rv": np.repeat(x[:, -1, :1].astype(np.float64), len(HORIZONS_S), axis=1)}

    def step(self, x: Floats32, known: Floats32, state: Floats32 | None) -> tuple[Named, Floats32]:
        self.asked.append(len(x))
        if self.fears in x[:, 0]:
            raise ModelFault(Fault.NOT_FINITE, "log_rv is not finite.")
        after = x[:, :1] + (0 if state is None else state)
        return {"log_rv": np.repeat(after.astype(np.float64), len(HORIZONS_S), axis=1)}, after


def ask(model: Model, symbol: str, value: float, state: float | None = 1.0, bars: int = 1) -> Ask:
    x = np.full((bars, COUNT), value, np.float32)
    before = None if state is None else np.array([[state]], np.float32)
    return Ask("m", symbol, 60, model, x, np.ones(bars, np.float32), before, 5, -9.0)


def said(questions: list[Ask], ticks: "count[int]") -> list[tuple[str, float | None, Fault | None]]:
    found = answers(questions, lambda: next(ticks))
    return [(one.ask.symbol, None if one.said is None else one.said["log_rv"][0, 0], one.fault) for one in found]


def test_asked_at_once_each_gets_its_own_answer() -> None:
    model = Model()
    questions = [
        ask(model, symbol, value, state) for symbol, value, state in (("A", 1, 10), ("B", 2, 20), ("C", 3, 30))
    ]

    found = answers(questions, count().__next__)

    assert model.asked == [3]
    for question, one in zip(questions, found, strict=True):
        alone = answer(question, count().__next__)
        assert one.said is not None
        assert alone.said is not None
        assert one.state is not None
        assert alone.state is not None
        assert one.said["log_rv"].tobytes() == alone.said["log_rv"].tobytes()
        assert one.state.tobytes() == alone.state.tobytes()


def test_what_is_wrong_with_one_is_told_of_no_other() -> None:
    model = Model(fears=2.0)

    found = said([ask(model, "A", 1), ask(model, "B", 2), ask(model, "C", 3)], count())

    assert found == [("A", 2.0, None), ("B", None, Fault.NOT_FINITE), ("C", 4.0, None)]
    assert model.asked == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("mode", "state", "bars"),
    [("window", 1.0, 4), ("step", None, 1), ("step", 1.0, 2)],
    ids=["windows", "begin", "two"],
)
def test_who_is_not_one_bar_further_is_asked_alone(mode: str, state: float | None, bars: int) -> None:
    model = Model(mode)

    found = said([ask(model, "A", 1, state, bars), ask(model, "B", 2, state, bars)], count())

    assert set(model.asked) == {1}
    assert [fault for _, _, fault in found] == [None, None]
