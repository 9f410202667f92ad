"""Ask a model before anybody relies on it: bars as its card describes them, and nothing else."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.learned import ModelFault, Named, Output
from trading.domain.model_package import UnsoundModel
from trading.ports import Predictor

WINDOWS: Final = 24  # of made-up bars
REPEATS: Final = 9  # a deadline is held against the middle of so many
LEAST_CHANGE: Final = 1e-6  # what an answer must move by when everything it is told changes
FAR: Final = 10.0  # standard deviations of the target that no made-up bar asks for
LEAST_SPREAD: Final = 0.1  # of log RV; a target that never moved would make everything far
STEP_OFF: Final = 1e-4  # between a window at once and the same bars one by one

Floats32 = NDArray[np.float32]


def refuse_unfit(predictor: Predictor, now_ns: Callable[[], int] = time.thread_time_ns) -> None:
    """Ask for made-up bars, some of them missing, and for the time it takes.

    Raises:
        UnsoundModel: it raises, answers what is not finite, always the same, or what no market does; it is slower than
            its deadline; or its one-step form says something else.
    """
    x, known = _made_up(predictor)
    try:
        found = predictor.predict(x, known)
        _refuse_constant(found)
        _refuse_far(found, predictor)
        if predictor.card.mode == "step":
            _refuse_other_steps(found, predictor, x, known)
        _refuse_slow(predictor, x[:1], known[:1], now_ns)
    except ModelFault as error:
        raise UnsoundModel(f"asked for made-up bars: {error.fault}, {error}") from error


def _made_up(predictor: Predictor) -> tuple[Floats32, Floats32]:
    """Return windows (S, T, F) and known (S, T): each feature as in training, one bar in eight missing but the last."""
    card, chance = predictor.card, np.random.default_rng(0)
    x = chance.normal(card.mean, card.spread, (WINDOWS, card.window, len(card.features))).astype(np.float32)
    known = (chance.random((WINDOWS, card.window)) > 1 / 8).astype(np.float32)
    known[:, -1] = 1
    x[known == 0] = 0
    return x, known


def _refuse_constant(found: Named) -> None:
    if all(np.ptp(values, axis=0).max() < LEAST_CHANGE for values in found.values()):
        raise UnsoundModel("asked for made-up bars: it always answers the same; train it anew.")


def _refuse_far(found: Named, predictor: Predictor) -> None:
    if Output.LOG_RV not in found:
        return
    mean, spread = predictor.card.log_rv
    away = float(np.median(abs(found[Output.LOG_RV][:, 0] - mean))) / max(spread, LEAST_SPREAD)
    if away > FAR:
        raise UnsoundModel(f"log_rv: {away:.0f} standard deviations off what it was trained on; is the scaler its own?")


def _refuse_other_steps(found: Named, predictor: Predictor, x: Floats32, known: Floats32) -> None:
    state, stepped = None, found
    for bar in range(x.shape[1]):
        stepped, state = predictor.step(np.ascontiguousarray(x[:, bar]), np.ascontiguousarray(known[:, bar]), state)
    for name, values in found.items():
        if abs(values - stepped[name]).max() > STEP_OFF:
            raise UnsoundModel(f"{name}: one bar after the other it says something else than at once; export it again.")


def _refuse_slow(predictor: Predictor, x: Floats32, known: Floats32, now_ns: Callable[[], int]) -> None:
    took = []
    for _ in range(REPEATS):
        began = now_ns()
        predictor.predict(x, known)
        took.append(now_ns() - began)
    middle_ms = sorted(took)[REPEATS // 2] / 1e6
    if middle_ms > predictor.card.deadline_ms:
        deadline = predictor.card.deadline_ms
        raise UnsoundModel(f"it takes {middle_ms:.1f} ms of {deadline:g} ms; choose a smaller net or a later deadline.")
