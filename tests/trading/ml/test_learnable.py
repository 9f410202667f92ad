"""What a net learns from: windows that end at their bar, labels that end in their span, bars that can be told apart."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.trading.domain.shipped_bars import only, shipped, with_holes
from trading.domain.bar_features import FEATURES, schema_digest
from trading.domain.bars import Bars, UnsoundBars
from trading.domain.splits import Span
from trading.ml.learnable import Learnable, learnable

HORIZONS_S: Final = (3_600, 14_400, 86_400)
MINUTE_NS: Final = 60_000_000_000


def made(*bars: Bars) -> Learnable:
    return learnable(bars or (shipped(),), window=64, horizons_s=HORIZONS_S, source="bars of a test")


def test_it_says_what_it_is_made_of() -> None:
    data = made(shipped(), with_holes(shipped("ETHUSDT")))

    assert data.symbols == ("BTCUSDT", "ETHUSDT")
    assert (data.features, data.bar_s, data.schema) == (FEATURES, 60, schema_digest(60))
    assert data.span == Span(int(shipped().at_ns[0]), int(shipped().at_ns[-1]) + 1)


def test_five_days_of_the_shipped_week_can_be_learned_from() -> None:
    data = made()

    assert len(data.rows((data.span,))) >= 5 * 1_440
    assert len(data.rows((data.span,), stride=7)) == -(-len(data.rows((data.span,))) // 7)


def test_no_label_reaches_over_the_end_of_its_span() -> None:
    data = made()
    span = Span(data.span.begin_ns, data.span.begin_ns + 4 * 86_400_000_000_000)

    bars = data.rows((span,))[:, 1]

    assert int(data.labels[0].until_ns[bars].max()) < span.end_ns
    assert data.rows((span,), labels_within=False)[-1, 1] == 4 * 1_440 - 1


def test_a_window_ends_at_its_bar_and_what_is_missing_in_it_is_zero() -> None:
    data = made(with_holes(shipped()))
    rows = data.rows((data.span,))

    x, known = data.windows(rows)

    assert np.array_equal(x[:, -1], data.last(rows))
    assert known[:, -1].all()
    assert 0 < (known == 0).sum() < known.size / 2
    assert not x[known == 0].any()


def test_the_bars_decide_the_digest() -> None:
    close = shipped().close.copy()
    close[5_000] = np.nextafter(close[5_000], 0)
    low = np.minimum(shipped().low, close)

    assert made().sha256 == made().sha256
    others = [
        replace(shipped(), close=close, low=low),
        replace(shipped(), at_ns=shipped().at_ns + MINUTE_NS),
        only(shipped(), np.arange(len(shipped())) > 0),
        replace(shipped(), symbol="ETHUSDT"),
    ]
    assert len({made().sha256, *(made(other).sha256 for other in others)}) == 5


@pytest.mark.parametrize("bars", [(), (shipped(), shipped())], ids=["none", "twice"])
def test_bars_that_cannot_be_learned_from_together_are_refused(bars: tuple[Bars, ...]) -> None:
    with pytest.raises(UnsoundBars, match="bars: "):
        learnable(bars, window=64, horizons_s=HORIZONS_S, source="")
