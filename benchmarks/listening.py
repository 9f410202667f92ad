"""Models heard on seven symbols: what a bar of all of them costs, from the last price to the advice."""

import gc
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.advice import Facts, advise
from trading.domain.bar_features import BarFeatures
from trading.domain.bars import SECOND_NS, Bar, Bars
from trading.domain.learned import ModelOutput
from trading.domain.serving import Ask, Serving, answer, answers

if TYPE_CHECKING:
    from benchmarks.nets import Made

BAR_S: Final = 60
DAYS: Final = 2
MODEL: Final = "0" * 64
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
    took, advised, faults = list[float](), 0, dict[str, int]()
    measured = _Measured(every)
    gc.freeze()  # as the process of the loops does once it is warm
    parts = [measured.bar(predictor, coming, number) / 1e3 for number in range(rounds)]
    for number in range(rounds):
        cost, asks, ends = 0, list[Ask](), dict[str, int]()
        for symbol, bars in coming.items():
            ends[symbol] = end_ns = int(bars.at_ns[number])
            for quarter, price in enumerate(_prices(bars, number)):
                serving.observe(symbol, price, float(bars.volume[number]) / 4, end_ns - BAR_S * SECOND_NS + quarter)
            began = time.thread_time_ns()
            asks += serving.until(symbol, end_ns)
            cost += time.thread_time_ns() - began
        began = time.thread_time_ns()
        for found in answers(asks, time.perf_counter_ns):
            judged = serving.take(found, ends[found.ask.symbol])
            if judged.verdict.is_heard and judged.output is not None:
                advise(judged.output, FACTS.at(judged.at_ns, -9.0))
                advised += 1
            else:
                word = str(judged.verdict.fault)
                faults[word] = faults.get(word, 0) + 1
        cost += time.thread_time_ns() - began
        took.append(cost / 1e3)
    return {
        "advice_p50_us": round(float(np.percentile(parts, 50)), 1),
        "advice_p99_us": round(float(np.percentile(parts, 99)), 1),
        "bar_p50_us": round(float(np.percentile(took, 50)), 1),  # with windows, rules, drift and digests besides
        "bar_p99_us": round(float(np.percentile(took, 99)), 1),
        "advised": advised,
        "not_advised": faults,
    }


class _Measured:
    """Features, inference and advice of every symbol, and nothing besides; asked at once, as the model loop asks."""

    def __init__(self, every: Mapping[str, Bars]) -> None:
        self.features = {symbol: BarFeatures(BAR_S) for symbol in every}
        self.known = np.ones(len(every), np.float32)
        self.state: Any = None
        for symbol, bars in every.items():
            for number in range(DAYS * 1_440):
                self.features[symbol].observe(_bar(bars, number))

    def bar(self, predictor: OnnxPredictor, coming: Mapping[str, Bars], number: int) -> int:
        """Return ns of processor time."""
        every = {symbol: _bar(bars, number) for symbol, bars in coming.items()}
        began = time.thread_time_ns()
        x = np.stack([self.features[symbol].observe(bar).x for symbol, bar in every.items()])
        said, self.state = predictor.step(x, self.known, self.state)
        for (symbol, bar), log_rv, pairs in zip(
            every.items(), said["log_rv"].tolist(), said["log_rv_q"].tolist(), strict=True
        ):
            quantiles = tuple((low, high) for low, high in pairs)
            output = ModelOutput(MODEL, symbol, bar.at_ns, tuple(log_rv), quantiles)
            advise(output, FACTS.at(bar.at_ns, -9.0))
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
