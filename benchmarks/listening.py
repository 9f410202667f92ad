"""Models heard on seven symbols: what a bar of all of them costs, from the last price to the advice."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.advice import Facts, advise
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.serving import Serving, answer

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
    serving, coming = begun(OnnxPredictor(made.files), every)
    took, advised, faults = [], 0, dict[str, int]()
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
    return {
        "advice_p50_us": round(float(np.percentile(took, 50)), 1),
        "advice_p99_us": round(float(np.percentile(took, 99)), 1),
        "advised": advised,
        "not_advised": faults,
    }


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
