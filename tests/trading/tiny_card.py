"""A card as a trainer would write it, and bars as a market would make them; nothing heavy is imported."""

from dataclasses import replace
from typing import Any

import numpy as np

from trading.domain.bar_features import FEATURES, frame_of, schema_digest
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.learned import HORIZONS_S
from trading.domain.model_card import Card

COUNT, WINDOW, BAR_S = len(FEATURES), 4, 60
START_NS = 1_700_006_400 * SECOND_NS  # midnight UTC


def shipped_like(count: int, *, seed: int = 1, symbol: str = "BTCUSDT") -> Bars:
    """Return bars of a random walk; the same seed gives the same bars."""
    chance = np.random.default_rng(seed)
    path = 100 * np.exp(np.cumsum(chance.normal(0, 4e-4, count * 4 + 1)))
    within = np.stack([path[k : k + 4 * count : 4] for k in range(5) if k < 4] + [path[4::4][:count]], axis=1)
    at_ns = START_NS + np.arange(1, count + 1) * BAR_S * SECOND_NS
    ends = within[:, 0], within.max(axis=1), within.min(axis=1), within[:, -1]
    return Bars(symbol, BAR_S * SECOND_NS, at_ns, *ends, chance.lognormal(0, 0.3, count))


def card(**changes: Any) -> Card:
    """Return a card whose scales fit `shipped_like`."""
    made = Card(
        name="line",
        stage=0,
        parameters=COUNT * len(HORIZONS_S),
        hyper={},
        outputs=("log_rv", "log_rv_q"),
        mode="window",
        schema=schema_digest(BAR_S),
        features=FEATURES,
        bar_s=BAR_S,
        window=WINDOW,
        horizons_s=HORIZONS_S,
        symbols=("BTCUSDT",),
        data="made up",
        data_sha256="00",
        trained_from_ns=0,
        trained_until_ns=1,
        purge_s=3_600,
        embargo_s=86_400,
        seeds=(0,),
        trials=1,
        quick=True,
        deadline_ms=50.0,
        ttl_s=2 * BAR_S,
        parity=0.0,
        mean=tuple(MEAN.tolist()),
        spread=tuple(SPREAD.tolist()),
        bins=tuple(map(tuple, DECILES.T.tolist())),
        log_rv=(float(MEAN[0]), 1.0),
        versions={"onnx": "1"},
        made_at="2026-01-01T00:00:00+00:00",
    )
    return replace(made, **changes)


def _seen() -> Any:
    frame = frame_of(shipped_like(3 * 1_440, seed=2))
    return frame.x[frame.known]


_SEEN = _seen()
MEAN: Any = _SEEN.mean(axis=0)
SPREAD: Any = np.maximum(_SEEN.std(axis=0), 0.3).astype(np.float32)
DECILES: Any = np.quantile(_SEEN, np.linspace(0.1, 0.9, 9), axis=0)
