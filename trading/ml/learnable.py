"""What a net learns from: frames of features with their labels, and the rows of them that may be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from trading.domain.bar_features import FEATURES, frame_of, schema_digest
from trading.domain.bars import SECOND_NS, Bars, Floats, Frame, Ints, UnsoundBars
from trading.domain.labels import Labels, labels_of
from trading.domain.splits import Span

__all__ = ["Fitted", "Floats32", "Labels", "Learnable", "Plan", "Progress", "Stage", "learnable"]

Floats32 = NDArray[np.float32]
Progress = Callable[[float, str], None]  # fraction 0..1, what is done; raises what ends the training


@dataclass(frozen=True, slots=True, eq=False)
class Learnable:
    """Several symbols with features and labels."""

    schema: str  # digest of the features
    features: tuple[str, ...]
    bar_s: int
    horizons_s: tuple[int, ...]
    window: int  # bars a net sees at once
    frames: tuple[Frame, ...]
    labels: tuple[Labels, ...]
    source: str  # where the bars came from, in words
    sha256: str  # of the bars

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of the frames, in their order."""
        return tuple(frame.symbol for frame in self.frames)

    @property
    def span(self) -> Span:
        """From the first bar to the last of all frames."""
        first, last = min(int(f.at_ns[0]) for f in self.frames), max(int(f.at_ns[-1]) for f in self.frames)
        return Span(first, last + 1)

    def rows(self, spans: tuple[Span, ...], *, stride: int = 1, labels_within: bool = True) -> Ints:
        """Return (k, 2) [frame, bar] of the bars in `spans` that can be learned from or tested on.

        The bar is known, its whole window exists, and its labels are known; with `labels_within` before its span ends
        (purge).
        """
        found = [
            self._rows(number, span, stride, labels_within) for number in range(len(self.frames)) for span in spans
        ]
        return np.concatenate(found) if found else np.empty((0, 2), np.int64)

    def _rows(self, number: int, span: Span, stride: int, labels_within: bool) -> Ints:
        frame, labels = self.frames[number], self.labels[number]
        able = frame.known & np.isfinite(labels.log_rv).all(axis=1) & np.isfinite(labels.returns)
        able &= (frame.at_ns >= span.begin_ns) & (frame.at_ns < span.end_ns)
        if labels_within:
            able &= labels.until_ns < span.end_ns
        able[: self.window - 1] = False
        bars = np.flatnonzero(able)[::stride]
        return np.stack((np.full_like(bars, number), bars), axis=1)

    def windows(self, rows: Ints) -> tuple[Floats32, Floats32]:
        """Return x (k, T, F) and known (k, T) of `rows`, as a net reads them: oldest bar first, 0 where unknown."""
        x = np.empty((len(rows), self.window, len(self.features)), np.float32)
        known = np.empty((len(rows), self.window), np.float32)
        offsets = np.arange(1 - self.window, 1)
        for number, frame in enumerate(self.frames):
            mine = rows[:, 0] == number
            at = rows[mine, 1][:, np.newaxis] + offsets
            x[mine], known[mine] = frame.x[at], frame.known[at]
        return x, known

    def last(self, rows: Ints) -> Floats32:
        """Return (k, F), the features of the bar itself, as linear models read them."""
        x = np.empty((len(rows), len(self.features)), np.float32)
        for number, frame in enumerate(self.frames):
            mine = rows[:, 0] == number
            x[mine] = frame.x[rows[mine, 1]]
        return x

    def target(self, rows: Ints, name: str) -> Floats:
        """Return the labels of `rows`: "log_rv" (k, H), "returns" or "volume" (k,)."""
        shape = (len(rows), len(self.horizons_s)) if name == "log_rv" else (len(rows),)
        y = np.empty(shape)
        for number, labels in enumerate(self.labels):
            mine = rows[:, 0] == number
            y[mine] = getattr(labels, name)[rows[mine, 1]]
        return y


def learnable(bars: Sequence[Bars], *, window: int, horizons_s: tuple[int, ...], source: str) -> Learnable:
    """Return features and labels of the bars of several symbols.

    Args:
        bars: one a symbol, all of one length.
        window: bars a net sees at once.
        horizons_s: what the volatility is forecast over; the first is that of return and volume.
        source: where the bars came from, in words.

    Raises:
        UnsoundBars: there are none, a symbol comes twice, lengths differ or are not supported, or a horizon is no
            multiple of them.
    """
    if not bars or window < 1:
        raise UnsoundBars("bars: there are none, or the window is empty; load at least one symbol.")
    if len({one.symbol for one in bars}) < len(bars) or len({one.bar_ns for one in bars}) > 1:
        raise UnsoundBars("bars: a symbol comes twice, or the lengths differ; give one of each, all alike.")
    frames = tuple(frame_of(one) for one in bars)
    labels = tuple(labels_of(one, frame, horizons_s) for one, frame in zip(bars, frames, strict=True))
    bar_s = bars[0].bar_ns // SECOND_NS
    schema, digest = schema_digest(bar_s), _digest(bars)
    return Learnable(schema, FEATURES, bar_s, horizons_s, window, frames, labels, source, digest)


def _digest(bars: Sequence[Bars]) -> str:
    """Return the SHA-256 of the bars: names, length and every bit of every column, in the order given."""
    digest = sha256()
    for one in bars:
        digest.update(f"{one.symbol} {one.bar_ns} {len(one)}\n".encode())
        for column in (one.at_ns, one.open, one.high, one.low, one.close, one.volume):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a net is to be trained."""

    quick: bool = False  # tiny and short: shows that the way works
    seed: int = 0
    epochs: int = 2
    stride: int = 3  # every so many-th bar of a frame is learned from
    batch: int = 128
    device: str = "cpu"  # "cuda" where one is present: the same code
    hyper: Mapping[str, Any] = field(default_factory=dict)  # over the defaults of the stage
    checkpoints: Path | None = None  # folder that a broken off training goes on from


@dataclass(slots=True, eq=False)
class Fitted:
    """A net that was trained.

    `net(x, known)` takes (B, T, F) and (B, T) float32 as they come out of `Learnable.windows` (standardisation is
    inside the net) and returns a tuple of tensors in the order of `outputs`, the first of them LOG_RV (B, H).
    """

    net: nn.Module
    outputs: tuple[str, ...]  # of `learned.Output`
    hyper: dict[str, Any]
    curve: list[dict[str, float]]  # one an epoch: "epoch", "train", "validation"
    trials: int = 1  # nets that were fitted on the way
    step: nn.Module | None = None  # one bar and the state it left -> outputs and the next state


class Stage(Protocol):
    """One stage of the roadmap."""

    number: int
    name: str

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else; scalers, mixtures and codes are fitted on them too."""
        ...
