"""What a model may ask of a grid: to buy less, later, or further apart. Nothing it says can loosen anything."""

from dataclasses import dataclass
from math import ceil, exp, floor, isfinite, isnan, sqrt
from typing import Final

from trading.domain.forecast import spacing_floor_fraction
from trading.domain.learned import HORIZONS_S, Fault, ModelFault, ModelOutput

HOUR_S: Final = 3_600
HOUR_NS: Final = HOUR_S * 1_000_000_000
ASSUMED_MARK_OUT: Final = (
    0.0005  # of fills nobody has measured: 5 bp, what BTC spot moved at bar close (docs/models.md)
)
SAFETY: Final = 3.0  # times fees and mark-out that a step must be worth (docs/models.md)
PAUSE_AT: Final = 0.5  # expected return / its standard deviation at which one side waits (ours)
LEAN_AT: Final = 0.1  # and from which the grid leans (ours)
SHOCK_AT: Final = 0.5  # probability of the wildest regime at which nothing new is bought (ours)
UNSURE_FROM: Final = 0.2  # spread of log RV from which the size shrinks; below it seeds differ anyway (ours)
STOP_SIGMAS: Final = 4.0  # of a day; a normal one goes further once in some 16,000 (ours)
SIZE_STEPS: Final = 10  # sizes and skews are tenths, rounded down: a change of a hundredth is no news
FLOOR_STEPS: Final = 10_000  # floors are basis points, rounded up
LONGEST_NS: Final = 24 * HOUR_NS  # no advice holds for longer, whatever it says
_LOG_RV_RANGE: Final = (-60.0, 10.0)  # beyond it no market moves; keeps exp() finite
_NEVER_NS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one symbol and its grid besides what the model says; fractions of the price."""

    now_ns: int
    fee_fraction: float  # of one side, in the style that trades
    slots: int  # of the grid
    mark_out_fraction: float | None = None  # mean move after our fills, above zero: against us; None: not measured
    usual_log_rv: float | None = None  # what the lot was chosen for, as `ModelOutput.log_rv`; None: not known
    smallest_size_fraction: float = 0.0  # of the lot: what the venue still takes
    recentred_at_ns: int | None = None  # when the ladder was laid last; None: never

    def at(self, now_ns: int, usual_log_rv: float | None) -> "Facts":
        """Return them as of a moment and for a model; a third of what `replace` takes, on the way of every bar."""
        return Facts(
            now_ns, self.fee_fraction, self.slots, self.mark_out_fraction, usual_log_rv, self.smallest_size_fraction,
            self.recentred_at_ns,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clamps:
    """Between what an advice must lie, whatever a model says."""

    valid_ns: int = 2 * HOUR_NS  # after the last bar the model saw; `Card.ttl_s` says how long its bars hold
    safety: float = SAFETY
    most_floor_fraction: float = 0.05
    least_levels: int = 2
    least_stop_fraction: float = 0.01
    most_stop_fraction: float = 0.5
    recentre_every_ns: int = 4 * HOUR_NS


CLAMPS: Final = Clamps()


@dataclass(frozen=True, slots=True)
class GridAdvice:
    """What one model asks of one grid until `valid_until_ns`; it holds entries back, never an exit.

    `recentre` and `stop_distance_fraction` are for people: to lay a ladder anew, or to sell at a nearer stop, places
    orders that the grid would not have placed.
    """

    symbol: str
    model: str  # digest of its package
    at_ns: int  # close of the last bar it saw
    valid_until_ns: int
    floor_fraction: float = 0.0  # narrowest step to enter on; 0: the rule's own
    levels: int | None = None  # slots that may be open or on their way at once, the nearest first; None: all
    size_fraction: float = 1.0  # of the lot of a new entry, 0..1
    skew: float = 0.0  # -1..1; below zero the buys shrink
    pause_buys: bool = False
    pause_sells: bool = False  # that open a position; a grid that buys first has none
    stop_distance_fraction: float | None = None  # None: it says nothing of one
    recentre: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def unsound(self) -> str:
        """Name of the first field that is no number in its range; "" when every one is."""
        ranges = (
            ("valid_until_ns", self.valid_until_ns, self.at_ns, _NEVER_NS),
            ("floor_fraction", self.floor_fraction, 0.0, 1.0),
            ("levels", self.levels or 0, 0, _NEVER_NS),
            ("size_fraction", self.size_fraction, 0.0, 1.0),
            ("skew", self.skew, -1.0, 1.0),
            ("stop_distance_fraction", self.stop_distance_fraction or 0.0, 0.0, 1.0),
        )
        return next((name for name, *value in ranges if not _is_within(*value)), "")

    def holds(self, now_ns: int) -> bool:
        """Return whether it may be heeded now."""
        return self.at_ns <= now_ns <= min(self.valid_until_ns, self.at_ns + LONGEST_NS)

    @property
    def buy_fraction(self) -> float:
        """What is left of the lot of a new buy, 0..1."""
        return self.size_fraction * (1.0 + min(self.skew, 0.0))

    def lots(self, lots: int) -> int:
        """Return the size of a new buy whose whole lot is `lots`; never more."""
        return min(floor(lots * self.buy_fraction), lots)

    @property
    def asks(self) -> str:
        """What it asks of the grid, in words."""
        said = (
            (self.pause_buys, "buy nothing"),
            (self.floor_fraction > 0.0, f"buy on steps from {self.floor_fraction:.2%} on"),
            (self.buy_fraction < 1.0, f"buy {self.buy_fraction:.0%} of a lot"),
            (self.levels is not None, f"keep at most {self.levels} slots open"),
        )
        return ", ".join(text for is_so, text in said if is_so) or "nothing"

    @property
    def restraint(self) -> tuple[object, ...]:
        """What of it acts: two advices with the same do the same."""
        return (self.model, self.floor_fraction, self.levels, self.buy_fraction, self.pause_buys, self.pause_sells)


def advise(output: ModelOutput, facts: Facts, limits: Clamps = CLAMPS) -> GridAdvice:
    """Return what `output` asks of the grid of `facts`, inside `limits`.

    Fees and mark-out set the floor first; volatility widens it and lowers the size; trend and regime pause a side; what
    the model is unsure of is done smaller. Where the venue takes no lot that small, fewer lots are bought instead.

    Raises:
        ModelFault: a number is not finite, or there is no volatility among them.
    """
    _check(output)
    wanted, levels = _size(output, facts), facts.slots
    size = _tenths(wanted)
    if size <= 0 or size < facts.smallest_size_fraction:
        size, levels = 1.0, floor(round(facts.slots * wanted, 6))
    trend, is_wild = output.trend or 0.0, is_shock(output)
    floors = floor_of(facts, limits), _volatility_floor(output)
    raw = GridAdvice(
        symbol=output.symbol,
        model=output.model,
        at_ns=output.at_ns,
        valid_until_ns=output.at_ns + limits.valid_ns,
        floor_fraction=max(floors),
        levels=levels,
        size_fraction=size,
        skew=trend / PAUSE_AT if abs(trend) >= LEAN_AT else 0.0,
        pause_buys=is_wild or trend <= -PAUSE_AT or levels < min(limits.least_levels, facts.slots),
        pause_sells=is_wild or trend >= PAUSE_AT,
        stop_distance_fraction=STOP_SIGMAS * _sigma_per_hour(_high(output, -1)) * sqrt(HORIZONS_S[-1] / HOUR_S),
        recentre=not is_wild and abs(trend) < PAUSE_AT and _is_due(facts, limits),
        reasons=_reasons(output, facts, wanted, floors),
    )
    return clamped(raw, facts, limits)


def clamped(raw: GridAdvice, facts: Facts, limits: Clamps = CLAMPS) -> GridAdvice:
    """Return `raw` inside `limits`: sizes rounded down, floors up; for what is no number the tightest there is."""
    stop = raw.stop_distance_fraction
    if stop is not None:
        stop = _between(stop, limits.least_stop_fraction, limits.most_stop_fraction, limits.least_stop_fraction)
    lowest = limits.most_floor_fraction
    return GridAdvice(  # `replace` takes twice as long, and this is on the way of every bar
        symbol=raw.symbol,
        model=raw.model,
        at_ns=raw.at_ns,
        valid_until_ns=max(min(raw.valid_until_ns, raw.at_ns + limits.valid_ns), raw.at_ns),
        floor_fraction=min(_up(_between(raw.floor_fraction, 0.0, lowest, lowest)), lowest),
        levels=min(max(facts.slots if raw.levels is None else raw.levels, limits.least_levels), facts.slots),
        size_fraction=_tenths(_between(raw.size_fraction, 0.0, 1.0, 0.0)),
        skew=_tenths(_between(raw.skew, -1.0, 1.0, -1.0)),
        pause_buys=raw.pause_buys,
        pause_sells=raw.pause_sells,
        stop_distance_fraction=stop,
        recentre=raw.recentre and _is_due(facts, limits),
        reasons=raw.reasons,
    )


def floor_of(facts: Facts, limits: Clamps = CLAMPS) -> float:
    """Return the narrowest step worth entering on: what a round trip costs, `safety` times.

    A mark-out in our favour counts like one against us: it says how far the price moves when we trade, not that it will
    go on doing us a favour. One that nobody measured is assumed.

    Source:
        s >= 2 x (fee + |mark-out|) x safety (docs/models.md).
    """
    mark_out = ASSUMED_MARK_OUT if facts.mark_out_fraction is None else abs(facts.mark_out_fraction)
    return 2.0 * (facts.fee_fraction + mark_out) * limits.safety


def is_shock(output: ModelOutput) -> bool:
    """Return whether the last regime, the wildest, is the likely one."""
    return bool(output.regime) and output.regime[-1] >= SHOCK_AT


def _check(output: ModelOutput) -> None:
    if len(output.log_rv) != len(HORIZONS_S):
        text = f"{output.symbol}: log_rv has {len(output.log_rv)} horizons, an advice needs {len(HORIZONS_S)}."
        raise ModelFault(Fault.MISMATCH, text)
    quantiles = [value for pair in output.log_rv_q for value in pair]
    others = [value for value in (output.trend, output.uncertainty) if value is not None]
    if not all(map(isfinite, (*output.log_rv, *quantiles, *output.regime, *others))):
        raise ModelFault(Fault.NOT_FINITE, f"{output.symbol}: the model says what is no number.")


def _high(output: ModelOutput, horizon: int) -> float:
    """Return the log volatility that is rarely passed: its 90 % quantile where the model tells one."""
    middle = output.log_rv[horizon]
    return max(middle, output.log_rv_q[horizon][1]) if output.log_rv_q else middle


def _sigma_per_hour(log_rv: float) -> float:
    least, most = _LOG_RV_RANGE
    return exp(min(max(log_rv, least), most) / 2)


def _volatility_floor(output: ModelOutput) -> float:
    return spacing_floor_fraction(_sigma_per_hour(_high(output, 0)) / sqrt(HOUR_S))


def _size(output: ModelOutput, facts: Facts) -> float:
    """Return the size at which a lot risks what it usually does, smaller where the model is unsure; 0..1."""
    size = 1.0
    if facts.usual_log_rv is not None:
        size = min(size, _sigma_per_hour(facts.usual_log_rv) / _sigma_per_hour(output.log_rv[0]))
    if output.uncertainty is not None and abs(output.uncertainty) > UNSURE_FROM:
        size *= UNSURE_FROM / abs(output.uncertainty)
    return size


def _is_due(facts: Facts, limits: Clamps) -> bool:
    at_ns = facts.recentred_at_ns
    return at_ns is None or facts.now_ns - at_ns >= limits.recentre_every_ns


def _is_within(value: object, least: float, most: float) -> bool:
    """Return whether `value` is a number in its range; NaN, which no wire carries, arrives as None."""
    return isinstance(value, int | float) and least <= value <= most


def _between(value: float, least: float, most: float, unknown: float) -> float:
    return unknown if isnan(value) else min(max(value, least), most)


def _tenths(value: float) -> float:
    return floor(round(value * SIZE_STEPS, 6)) / SIZE_STEPS


def _up(value: float) -> float:
    return ceil(round(value * FLOOR_STEPS, 6)) / FLOOR_STEPS


def _reasons(output: ModelOutput, facts: Facts, wanted: float, floors: tuple[float, float]) -> tuple[str, ...]:
    """Return in words why it asks for what it asks; the gravest first. Only what is said is written."""
    trend, unsure, (by_cost, by_volatility) = output.trend or 0.0, abs(output.uncertainty or 0.0), floors
    said: list[str] = []
    if is_shock(output):
        said.append(f"shock has probability {sum(output.regime[-1:]):.0%}")
    if abs(trend) >= LEAN_AT:
        said.append(f"it expects {trend:+.2f} standard deviations within the hour")
    if wanted < 1.0:
        said.append(f"it expects {_sigma_per_hour(output.log_rv[0]):.2%} an hour")
    if unsure > UNSURE_FROM:
        said.append(f"its members differ by {unsure:.2f}")
    if by_volatility >= by_cost:
        said.append(f"a step pays its volatility from {by_volatility:.2%} on")
    else:
        mark_out = "an assumed mark-out" if facts.mark_out_fraction is None else "the measured mark-out"
        said.append(f"a step pays fees and {mark_out} from {by_cost:.2%} on")
    return tuple(said)
