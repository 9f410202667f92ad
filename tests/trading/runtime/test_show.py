"""What a desk shows of itself, in words that fit a line."""

from dataclasses import replace

import pytest

from tests.trading.domain.hand import BEGIN, SECOND, SYMBOL
from trading.domain.advice import GridAdvice
from trading.runtime.show import advice_words

ADVICE = GridAdvice(SYMBOL, "3f2a9c0d" * 8, BEGIN, BEGIN + 14 * 3_600 * SECOND + 5 * 60 * SECOND)


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (None, "Rule grid: no model"),
        (ADVICE, "Asks: nothing, until 14:05 UTC (model 3f2a9c0d)"),
        (
            replace(ADVICE, pause_buys=True, floor_fraction=0.0042, reasons=("shock has probability 61%",)),
            "Asks: buy nothing, buy on steps from 0.42% on, until 14:05 UTC (model 3f2a9c0d);"
            " shock has probability 61%",
        ),
        (
            replace(ADVICE, size_fraction=0.5, levels=3),
            "Asks: buy 50% of a lot, keep at most 3 slots open, until 14:05 UTC (model 3f2a9c0d)",
        ),
    ],
    ids=["none", "nothing", "a pause", "less"],
)
def test_what_a_model_asks_is_one_line(advice: GridAdvice | None, words: str) -> None:
    assert advice_words(advice) == words
