"""Models heard on seven symbols: what a bar of all of them costs, from the last price to the advice."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.advice import Facts, advise
from trading.domain.bar_features import BarFeatures
from trading.domain.bars import SECOND_NS, Bar, Bars
from trading.domain.learned import ModelOutput
from trading.domain.serving import Serving, answer

if TYPE_CHECKING:
    from benchmarks.nets import Made

BAR_S: Final = 60
DAYS: Final = 2
MODEL: Final = "0" * 64
SEEN: Final = np.ones(1, np.float32)
FACTS: Final = Facts(0, 0.0002, 10)


def begun(predictor: Any, every: Mapping[str, Bars]) -> tuple[Serving, dict[str, Bars]]:
    """Return an engine that knows two days of each symbol, and the bars that follow."""
    serving, coming = Serving({MODEL: predictor}, {MODEL: predictor.card}), {}
    for symbol, bars in every.items():
        split_ns = int(bars.at_ns[DAYS * 1_440])
        serving.warm(bars.between(0, split_ns))
        coming[symbol] = bars.between(split_ns, 2**62)
    return serving, coming


def timed(made: "Made", every: Mapping[str, Bars], rounds: int) -> dict[str, Any]:
    """Return what a bar of all symbols costs, from its end to the advice, and how many were advised."""
    predictor = OnnxPredictor(made.files)
    serving, coming = begun(predictor, every)
    took, parts, advised, faults = [], [], 0, dict[str, int]()
    measured = {symbol: _Measured(bars) for symbol, bars in every.items()}
    for number in range(rounds):
        cost = 0
        for symbol, bars in coming.items():
            end_ns = int(bars.at_ns[number])
            for quarter, price in enumerate(_prices(bars, number)):
                serving.observe(symbol, price, float(bars.volume[number]) / 4, end_ns - BAR_S * SECOND_NS + quarter)
            began = time.thread_time_ns()
            for ask in serving.until(symbol, end_ns):
                judged = serving.take(answer(ask, time.perf_counter_ns), end_ns)
                if judged.verdict.is_heard and judged.output is not None:
                    advise(judged.output, replace(FACTS, now_ns=end_ns))
                    advised += 1
                else:
                    word = str(judged.verdict.fault)
                    faults[word] = faults.get(word, 0) + 1
            cost += time.thread_time_ns() - began
        took.append(cost / 1e3)
        parts.append(sum(measured[symbol].bar(predictor, bars, number) for symbol, bars in coming.items()) / 1e3)
    return {
        "advice_p50_us": round(float(np.percentile(parts, 50)), 1),
        "advice_p99_us": round(float(np.percentile(parts, 99)), 1),
        "bar_p50_us": round(float(np.percentile(took, 50)), 1),  # with windows, rules, drift and digests besides
        "bar_p99_us": round(float(np.percentile(took, 99)), 1),
        "advised": advised,
        "not_advised": faults,
    }


class _Measured:
    """Features, inference and advice of one symbol, and nothing besides."""

    def __init__(self, bars: Bars) -> None:
        self.symbol, self.features = bars.symbol, BarFeatures(BAR_S)
        self.state: Any = None
        for number in range(DAYS * 1_440):
            self.features.observe(_bar(bars, number))

    def bar(self, predictor: OnnxPredictor, bars: Bars, number: int) -> int:
        """Return ns of processor time."""
        bar = _bar(bars, number)
        began = time.thread_time_ns()
        row = self.features.observe(bar)
        said, self.state = predictor.step(row.x[np.newaxis], SEEN, self.state)
        quantiles = tuple((low, high) for low, high in said["log_rv_q"][0].tolist())
        output = ModelOutput(MODEL, self.symbol, bar.at_ns, tuple(said["log_rv"][0].tolist()), quantiles)
        advise(output, replace(FACTS, now_ns=bar.at_ns))
        return time.thread_time_ns() - began


def _bar(bars: Bars, number: int) -> Bar:
    columns = (bars.at_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bar(*(column[number].item() for column in columns))


def serve(files: dict[str, bytes], every: Mapping[str, Bars]) -> None:
    """Serve a model on every symbol for an hour of bars."""
    serving, coming = begun(OnnxPredictor(files), every)
    KEPT.append(serving)
    for number in range(60):
        for symbol, bars in coming.items():
            for price in _prices(bars, number):
                serving.observe(symbol, price, 1.0, int(bars.at_ns[number]) - BAR_S * SECOND_NS)
            for ask in serving.until(symbol, int(bars.at_ns[number])):
                serving.take(answer(ask, time.perf_counter_ns), int(bars.at_ns[number]))


KEPT: Final[list[Serving]] = []  # it is there when the memory is read


def _prices(bars: Bars, number: int) -> Iterator[float]:
    for column in (bars.open, bars.high, bars.low, bars.close):
        yield float(column[number])
