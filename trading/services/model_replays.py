"""Hold what models read live against a replay of the recorded market: the same bars must give the same bits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import numpy as np

from trading.domain.bar_features import frame_of
from trading.domain.bars import SECOND_NS
from trading.domain.learned import Fault
from trading.domain.model_states import RUNNING
from trading.models import ModelForecast, ModelReplay, ModelVersion
from trading.services import model_versions, recorded_bars
from trading.services.recordings import UnableToRead

SETTLED: Final = timedelta(minutes=15)  # after which the last bar of a recording is stored whole
MEMORY: Final = timedelta(days=8)  # the longest window of a feature, and a day more: what is older changes nothing
LEAST: Final = timedelta(hours=6)  # ours: each time a week of trades is read
LONGEST: Final = timedelta(days=1)  # held in one go
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def hold_all(at: datetime) -> list[ModelReplay]:
    """Hold every model that forecasts against the market that was recorded since it was last held."""
    running = ModelVersion.objects.filter(state__in=[state.value for state in RUNNING]).order_by("id")
    return [made for version in running if (made := hold(version, at)) is not None]


def hold(version: ModelVersion, at: datetime) -> ModelReplay | None:
    """Hold one model, six hours to a day of it at a time; None where nothing of that time can be compared yet."""
    last = ModelReplay.objects.filter(version=version, until__gt=version.state_since).order_by("-until").first()
    since = last.until if last else version.state_since
    until = min(at - SETTLED, since + LONGEST)
    if until - since < LEAST:
        return None
    compared = [said == replayed for said, replayed in _pairs(version, since, until)]
    if not compared and at - SETTLED < since + LONGEST:
        return None  # more may be recorded of it; a whole day without any is stepped over
    return model_versions.record_replay(
        version, since=since, until=until, compared=len(compared), equal=sum(compared), at=at
    )


def _pairs(version: ModelVersion, since: datetime, until: datetime) -> Iterator[tuple[str, str]]:
    """Yield the digests of what was read live and in the replay, of every bar that the replay knows whole."""
    bar_s = int(version.card["bar_s"])
    rows = ModelForecast.objects.filter(version=version, at__gt=since, at__lte=until).exclude(fault=Fault.MISSING)
    for symbol in sorted(set(rows.values_list("symbol", flat=True))):
        replayed = _replayed(symbol, bar_s, since, until)
        for at, said in rows.filter(symbol=symbol).values_list("at", "features_sha256"):
            if (found := replayed.get(_ns(at))) is not None:
                yield said, found


def _replayed(symbol: str, bar_s: int, since: datetime, until: datetime) -> dict[int, str]:
    """Return close of bar -> digest of its features, of the bars that are known with all they look back on."""
    try:
        bars = recorded_bars.bars(symbol, bar_s, _ns(since - MEMORY), _ns(until) + bar_s * SECOND_NS)
    except UnableToRead:
        return {}
    if bars is None or not len(bars):
        return {}
    frame = frame_of(bars)
    known = np.flatnonzero(frame.known & (frame.at_ns > _ns(since)))
    one = np.float32(1).tobytes()
    return {int(frame.at_ns[row]): sha256(frame.x[row].tobytes() + one).hexdigest() for row in known}


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
