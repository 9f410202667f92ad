"""From prices to what models say of them: bars, features, whom to ask, and who is heard. It never raises.

The engine knows no clock and starts no thread: whoever drives it carries `Ask` to where a model may take its time
(`answer`), and brings the `Answer` back (`Serving.take`), or says that none came in time (`Serving.give_up`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite, log
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trading.domain.bar_features import BarFeatures, Row
from trading.domain.bar_kernel import FLOOR
from trading.domain.bars import SECOND_NS, Bar, BarMaker, Bars, Floats, UnsoundBars, enough
from trading.domain.fallback import Facts, Verdict, Watch, distances
from trading.domain.learned import Fault, ModelFault, ModelOutput, Named, Output
from trading.domain.model_card import Card
from trading.domain.model_drift import FeatureDrift, LossDrift

HOUR_S: Final = 3_600
HALF_LIFE_S: Final = 7_200.0  # of the rule's own volatility, over bars (ours)
WARM_RETURNS: Final = 30
KEPT_BARS: Final = 256  # at least, so that a model that comes later finds its window

Floats32 = NDArray[np.float32]


class Asked(Protocol):
    """A loaded model, as `trading.ports.Predictor` describes it."""

    card: Card

    def predict(self, x: Floats32, known: Floats32) -> Named: ...
    def step(self, x: Floats32, known: Floats32, state: Floats32 | None) -> tuple[Named, Floats32]: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to one model about one symbol; nothing in it changes any more."""

    model: str  # digest
    symbol: str
    at_ns: int  # close of the bar, market time
    predictor: Asked | None
    x: Floats32  # (T, F): the window, or the bars since the state
    known: Floats32  # (T,)
    state: Floats32 | None
    rows: int  # of the track with this bar
    rule_log_rv: float | None
    fault: Fault | None = None  # it need not be asked
    reason: str = ""

    @property
    def features_sha256(self) -> str:
        """Of the newest bar: what a replay must give again."""
        return sha256(self.x[-1].tobytes() + self.known[-1].tobytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking."""

    ask: Ask
    said: Named | None
    state: Floats32 | None
    took_ns: int
    fault: Fault | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One bar of one model on one symbol: what it said and whether it is heard."""

    model: str
    symbol: str
    at_ns: int
    output: ModelOutput | None  # None: it said nothing sound
    verdict: Verdict
    rule_log_rv: float | None
    took_us: int
    features_sha256: str
    psi: float | None
    loss_drift: float | None
    bars: int  # asked so far
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Realized:
    """What came of an earlier bar."""

    model: str
    symbol: str
    at_ns: int
    log_rv: float


def answer(ask: Ask, now_ns: Callable[[], int]) -> Answer:
    """Ask the model; every way it can fail is an answer too."""
    began = now_ns()
    try:
        if ask.fault is not None or ask.predictor is None:
            return Answer(ask, None, None, 0, ask.fault or Fault.MISSING, ask.reason)
        said, state = _asked(ask, ask.predictor)
        return Answer(ask, said, state, now_ns() - began)
    except ModelFault as error:
        return Answer(ask, None, None, now_ns() - began, error.fault, str(error))
    except Exception as error:  # a fault of the model, never of whoever trades
        return Answer(ask, None, None, now_ns() - began, Fault.BROKEN, f"{type(error).__name__}: {error}"[:200])


def answers(asks: Sequence[Ask], now_ns: Callable[[], int]) -> list[Answer]:
    """Ask one model about several symbols; those that are one bar further, at once.

    Where that fails each is asked alone, so that what is wrong with one is not told of the others. What was asked at
    once took as long for each of them.
    """
    if len(asks) < 2 or not all(map(_is_one_step, asks)):
        return [answer(ask, now_ns) for ask in asks]
    began = now_ns()
    try:
        said, state = _asked_at_once(asks)
    except Exception:  # told by whom it concerns
        return [answer(ask, now_ns) for ask in asks]
    took_ns = now_ns() - began
    return [
        Answer(ask, {name: values[k : k + 1] for name, values in said.items()}, state[k : k + 1], took_ns)
        for k, ask in enumerate(asks)
    ]


def _is_one_step(ask: Ask) -> bool:
    is_asked = ask.fault is None and ask.predictor is not None and ask.predictor.card.mode == "step"
    return is_asked and ask.state is not None and len(ask.x) == 1


def _asked_at_once(asks: Sequence[Ask]) -> tuple[Named, Floats32]:
    predictor, states = asks[0].predictor, [ask.state for ask in asks if ask.state is not None]
    if predictor is None:
        raise ModelFault(Fault.MISSING, "there is no model to ask.")
    x, known = np.concatenate([ask.x for ask in asks]), np.concatenate([ask.known for ask in asks])
    return predictor.step(x, known, np.concatenate(states))


def _asked(ask: Ask, predictor: Asked) -> tuple[Named, Floats32 | None]:
    if predictor.card.mode == "window":
        return predictor.predict(ask.x[np.newaxis], ask.known[np.newaxis]), None
    state, said = ask.state, None
    for x, known in zip(ask.x, ask.known, strict=True):
        said, state = predictor.step(x[np.newaxis], np.array([known], np.float32), state)
    if said is None:
        raise ModelFault(Fault.BROKEN, "there was no bar to ask about.")
    return said, state


# --- one symbol -------------------------------------------------------------------------------------------------------


class Track:
    """The bars of one symbol at one length: features, the newest window of them, what the rule says, what came."""

    def __init__(self, symbol: str, bar_s: int, window: int) -> None:
        self.symbol, self.bar_s, self.window = symbol, bar_s, window
        self.maker = BarMaker(bar_s * SECOND_NS)
        self._features = BarFeatures(bar_s)
        # Written twice, one window apart, so that the newest window always lies in one piece.
        self._x: Floats32 | None = None
        self._known = np.zeros(2 * window, np.float32)
        self.rows = 0  # bar times so far, missing ones too
        self._span = HOUR_S // bar_s
        self._squares: deque[float] = deque(maxlen=self._span)  # NaN where a bar is missing
        self._last_log: float | None = None
        self._variance, self._weight, self._returns = 0.0, 0.0, 0
        self._keep = 0.5 ** (bar_s / HALF_LIFE_S)

    def take(self, bar: Bar) -> Row:
        """Take one closed bar. Raises UnsoundBars: nothing was taken."""
        row = self._features.observe(bar)
        if self._x is None:
            self._x = np.zeros((2 * self.window, len(row.x)), np.float32)
        for _ in range(min(row.missed, max(self.window, self._span))):
            self._put(np.zeros_like(row.x), 0.0, float("nan"))
        price = log(bar.close)
        square = float("nan") if self._last_log is None or row.missed else (price - self._last_log) ** 2
        self._put(row.x, float(row.known), square)
        self._last_log = price
        if isfinite(square):
            self._variance = self._keep * self._variance + (1 - self._keep) * square
            self._weight = self._keep * self._weight + (1 - self._keep)
            self._returns += 1
        return row

    @property
    def rule_log_rv(self) -> float | None:
        """The rule's word: log of the exponentially weighted squared return per hour; None until warm."""
        if self._returns < WARM_RETURNS:
            return None
        return log(max(self._variance / self._weight * self._span, FLOOR))

    @property
    def realized(self) -> float | None:
        """log of the mean squared return per hour over the last hour, as `labels_of` has it; None where not known."""
        known = [square for square in self._squares if isfinite(square)]
        if len(self._squares) < self._span or len(known) < enough(self._span):
            return None
        return log(max(sum(known) / len(known) * self._span, FLOOR))

    def newest(self, bars: int) -> tuple[Floats32, Floats32]:
        """Return copies of the features (bars, F) and whether they are known (bars,), oldest first."""
        assert self._x is not None
        end = (self.rows - 1) % self.window + 1 + self.window
        return self._x[end - bars : end].copy(), self._known[end - bars : end].copy()

    def _put(self, x: Floats32, known: float, square: float) -> None:
        assert self._x is not None
        place = self.rows % self.window
        for at in (place, place + self.window):
            self._x[at], self._known[at] = x, known
        self._squares.append(square)
        self.rows += 1


@dataclass(slots=True)
class Listening:
    """What is kept of one model on one symbol."""

    watch: Watch
    losses: LossDrift
    mean: Floats  # (F,) of the features in training
    spread: Floats
    state: Floats32 | None = None
    rows: int = -1  # of the track when the state was left; -1: there is none
    psi: float | None = None
    bars: int = 0
    fallbacks: int = 0
    said: dict[int, tuple[float, float]] = field(default_factory=dict)  # by bar: the model's log RV, the rule's


# --- all of them ------------------------------------------------------------------------------------------------------


class Serving:
    """Every model on every symbol."""

    def __init__(self, models: Mapping[str, Asked | ModelFault], cards: Mapping[str, Card]) -> None:
        """`models` by digest: loaded, or why it is not; `cards` of all of them."""
        self._models, self._cards = dict(models), dict(cards)
        self._windows: dict[int, int] = {}
        for card in cards.values():
            self._windows[card.bar_s] = max(card.window, self._windows.get(card.bar_s, KEPT_BARS))
        self._drifts = {
            model: FeatureDrift(card.features, card.bins, card.bar_s, card.symbols) for model, card in cards.items()
        }
        self._looked: dict[str, tuple[int, float | None]] = {}
        self._tracks: dict[str, list[Track]] = {}
        self._listening: dict[tuple[str, str], Listening] = {}
        self.is_halted = False
        self.unsound = 0  # bars that were none

    @property
    def models(self) -> frozenset[str]:
        """Digests of the models, loaded or not."""
        return frozenset(self._cards)

    def adopt(self, other: "Serving") -> None:
        """Go on with what `other` knows of the market, and of models that both have."""
        for symbol, tracks in other._tracks.items():
            mine = {track.bar_s: track for track in tracks if self._windows.get(track.bar_s) == track.window}
            if mine:
                self._tracks[symbol] = [mine.get(s) or Track(symbol, s, w) for s, w in self._windows.items()]
        for (model, symbol), listening in other._listening.items():
            if self._cards.get(model) == other._cards.get(model) and symbol in self._tracks:
                self._listening[model, symbol] = listening
                self._drifts[model] = other._drifts[model]

    def is_warm(self, symbol: str, bar_s: int) -> bool:
        """Return whether bars of that length were taken already, or no model wants them."""
        track = self._track(symbol, bar_s)
        return track is None or track.rows > 0

    def warm(self, bars: Bars) -> None:
        """Take bars of before the start; nobody is asked about them."""
        for track in self._of(bars.symbol):
            if track.bar_s * SECOND_NS == bars.bar_ns and not track.rows:
                columns = (bars.at_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
                for values in zip(*(column.tolist() for column in columns), strict=True):
                    row = self._took(track, Bar(*values))
                    if row is not None and row.known:
                        self._seen(track, row)

    def observe(self, symbol: str, price: float, volume: float, at_ns: int) -> Sequence[Ask]:
        """Take one trade (quote and base currency, market time); return whom to ask when a bar closed."""
        return [
            ask for t in self._of(symbol) if (bar := t.maker.observe(price, at_ns, volume)) for ask in self._on(t, bar)
        ]

    def until(self, symbol: str, now_ns: int) -> Sequence[Ask]:
        """Say what time it is, between trades; return as `observe`."""
        return [ask for t in self._of(symbol) if (bar := t.maker.until(now_ns)) for ask in self._on(t, bar)]

    def restart(self) -> None:
        """Prices do not continue: a seam, or a feed that was lost; the bar in progress is dropped."""
        for tracks in self._tracks.values():
            for track in tracks:
                track.maker.restart()

    def take(self, found: Answer, now_ns: int) -> Judged:
        """Judge an answer."""
        ask, listening = found.ask, self._listening[found.ask.model, found.ask.symbol]
        if found.state is not None:
            listening.state, listening.rows = found.state, ask.rows
        output, fault, reason = _told(found)
        rms, furthest = distances(listening.mean, listening.spread, ask.x[-1]) if ask.known[-1] else (0.0, 0.0)
        facts = Facts(
            at_ns=ask.at_ns,
            now_ns=now_ns,
            output=output,
            fault=fault,
            reason=reason,
            took_ms=found.took_ns / 1e6,
            rms=rms,
            furthest=furthest,
            rule_log_rv=ask.rule_log_rv,
            psi=listening.psi,
            loss_drift=listening.losses.level,
        )
        if output is not None and ask.rule_log_rv is not None:
            listening.said[ask.at_ns] = (output.log_rv[0], ask.rule_log_rv)
        return self._judged(ask, listening, facts)

    def give_up(self, ask: Ask, waited_ns: int, now_ns: int) -> Judged:
        """Judge an answer that did not come in time: it is not used when it comes."""
        late = Facts(ask.at_ns, now_ns, None, Fault.LATE, f"no answer after {waited_ns / 1e6:.0f} ms", waited_ns / 1e6)
        return self._judged(ask, self._listening[ask.model, ask.symbol], late)

    def realized(self, symbol: str, at_ns: int) -> Iterator[Realized]:
        """Yield what came of the forecasts made an hour before `at_ns`; call it once after each bar."""
        for (model, named), listening in self._listening.items():
            track = self._track(symbol, listening.watch.card.bar_s) if named == symbol else None
            made_ns = at_ns - HOUR_S * SECOND_NS
            if track is None or made_ns not in listening.said or listening.watch.card.horizons_s[0] != HOUR_S:
                continue
            said, rule = listening.said.pop(made_ns)
            for old in [at for at in listening.said if at < made_ns]:
                del listening.said[old]
            if (came := track.realized) is not None:
                spread = listening.watch.card.log_rv[1]
                listening.losses.observe(((said - came) ** 2 - (rule - came) ** 2) / max(spread * spread, 1e-6))
                yield Realized(model, symbol, made_ns, came)

    def look(self, now_ns: int) -> Iterator[tuple[str, str, Verdict]]:
        """Yield model, symbol and verdict of whatever stopped being heard with no new bar."""
        for (model, symbol), listening in self._listening.items():
            was_heard = listening.watch.verdict.is_heard
            verdict = listening.watch.look(now_ns)
            if was_heard and not verdict.is_heard:
                yield model, symbol, verdict

    def _of(self, symbol: str) -> list[Track]:
        found = self._tracks.get(symbol)
        if found is None:
            found = self._tracks[symbol] = [Track(symbol, bar_s, window) for bar_s, window in self._windows.items()]
        return found

    def _track(self, symbol: str, bar_s: int) -> Track | None:
        return next((track for track in self._of(symbol) if track.bar_s == bar_s), None)

    def _on(self, track: Track, bar: Bar) -> Iterator[Ask]:
        row = self._took(track, bar)
        if row is None:
            return
        if row.known:
            self._seen(track, row)
        for model, card in self._cards.items():
            if card.bar_s == track.bar_s:
                yield self._ask(model, card, track, row)

    def _took(self, track: Track, bar: Bar) -> Row | None:
        try:
            return track.take(bar)
        except UnsoundBars:
            self.unsound += 1
            return None

    def _seen(self, track: Track, row: Row) -> None:
        for model, card in self._cards.items():
            if card.bar_s == track.bar_s:
                self._drifts[model].observe(track.symbol, row.x)

    def _ask(self, model: str, card: Card, track: Track, row: Row) -> Ask:
        listening = self._heard(model, card, track.symbol)
        listening.psi = self._psi(model, row.at_ns)
        loaded = self._models[model]
        fresh_rows = track.rows - listening.rows
        if card.mode == "step" and listening.state is not None and 0 < fresh_rows < card.window:
            state, bars = listening.state, fresh_rows
        else:
            state, bars = None, card.window
        x, known = track.newest(bars)
        fault, reason = self._why_not(loaded, card, track, row)
        predictor = None if isinstance(loaded, ModelFault) else loaded
        at_ns, rule = row.at_ns, track.rule_log_rv
        return Ask(model, track.symbol, at_ns, predictor, x, known, state, track.rows, rule, fault, reason)

    def _psi(self, model: str, at_ns: int) -> float | None:
        """Return the drift of the features of a model, asked once a bar for all symbols."""
        looked_ns, found = self._looked.get(model, (0, None))
        if looked_ns != at_ns:
            found = self._drifts[model].psi()
            self._looked[model] = at_ns, found
        return found

    def _why_not(self, loaded: Asked | ModelFault, card: Card, track: Track, row: Row) -> tuple[Fault | None, str]:
        if isinstance(loaded, ModelFault):
            return loaded.fault, str(loaded)
        if self.is_halted:
            return Fault.HALTED, "everything is halted"
        if track.rows < card.window or not row.known:
            return Fault.WARMING, "too few bars yet: its features need a day of them"
        return None, ""

    def _heard(self, model: str, card: Card, symbol: str) -> Listening:
        found = self._listening.get((model, symbol))
        if found is None:
            losses, mean, spread = LossDrift(HOUR_S // card.bar_s), np.array(card.mean), np.array(card.spread)
            found = Listening(Watch(card), losses, mean, spread)
            self._listening[model, symbol] = found
        return found

    def _judged(self, ask: Ask, listening: Listening, facts: Facts) -> Judged:
        verdict = listening.watch.judge(facts)
        listening.bars += 1
        listening.fallbacks += not verdict.is_heard
        return Judged(
            model=ask.model,
            symbol=ask.symbol,
            at_ns=ask.at_ns,
            output=facts.output,
            verdict=verdict,
            rule_log_rv=ask.rule_log_rv,
            took_us=int(facts.took_ms * 1e3),
            features_sha256=ask.features_sha256,
            psi=listening.psi,
            loss_drift=listening.losses.level,
            bars=listening.bars,
            fallbacks=listening.fallbacks,
        )


def _told(found: Answer) -> tuple[ModelOutput | None, Fault | None, str]:
    """Return what a model said of its one symbol; what it did not say soundly is a fault."""
    if found.fault is not None or found.said is None:
        return None, found.fault or Fault.BROKEN, found.reason
    try:
        return _output(found.ask, found.said), None, ""
    except ModelFault as error:
        return None, error.fault, str(error)
    except Exception as error:  # as above
        return None, Fault.BROKEN, f"{type(error).__name__}: {error}"[:200]


def _output(ask: Ask, said: Named) -> ModelOutput:
    if Output.LOG_RV not in said:
        raise ModelFault(Fault.MISMATCH, "it tells no volatility; a grid can do nothing with it.")
    found = ModelOutput(
        model=ask.model,
        symbol=ask.symbol,
        at_ns=ask.at_ns,
        log_rv=tuple(said[Output.LOG_RV][0].tolist()),
        log_rv_q=tuple((low, high) for low, high in _first(said, Output.LOG_RV_Q, ())),
        trend=_first(said, Output.TREND, None),
        regime=tuple(_first(said, Output.REGIME, ())),
        uncertainty=_first(said, Output.UNCERTAINTY, None),
    )
    spoken = [*found.log_rv, *(value for pair in found.log_rv_q for value in pair), *found.regime]
    spoken += [value for value in (found.trend, found.uncertainty) if value is not None]
    if not all(map(isfinite, spoken)):
        raise ModelFault(Fault.NOT_FINITE, "what it says is not finite.")
    return found


def _first(said: Named, name: Output, absent: Any) -> Any:
    return said[name][0].tolist() if name in said else absent
