"""One world, drawn from its seed: who trades what under which limits, and how the prices move."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Final

from trading.domain.advice import GridAdvice
from trading.domain.desk import Chosen, DeskSettings
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.grids import Carried, GridSpec, plain
from trading.domain.instruments import Instrument
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.simulation.faults import Faults, draw
from trading.domain.terms import Mode

SECOND_NS: Final = 1_000_000_000
MIDNIGHT_NS: Final = 1_750_032_000 * SECOND_NS  # 16 June 2025, 00:00 UTC
OPENING_TICKS: Final = {"BTCUSDT": 6_000_000, "ETHUSDT": 260_000, "SOLUSDT": 15_000}
INSTRUMENTS: Final = {
    "BTCUSDT": Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5)),
    "ETHUSDT": Instrument("ETHUSDT", "ETH", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5)),
    "SOLUSDT": Instrument("SOLUSDT", "SOL", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal(5)),
}
CAPITAL_QUOTE: Final = Decimal(1_000)
LOT_QUOTE: Final = CAPITAL_QUOTE / 50
NOT_A_NUMBER: Final = 0.1  # share of mandates with a limit that is none: nothing may be sent under it
WORLDS_PER_TRANSFER: Final = 4  # in one of so many money is paid in and out
NONSENSE: Final = "nonsense"  # the model whose advice is none
SLUGS: Final = ("micro", "macro")
OF_THE_LADDER: Final = ("mode", "slots", "spacing", "step_fraction", "atr_multiple", "atr_bars", "atr_bar_s")
STEPS: Final = (Decimal("0.001"), Decimal("0.0015"))
MOVING_FROM: Final = 1_000_000  # from this seed on the grids of a world move, start and end by themselves
KINDS_FROM: Final = 2_000_000  # and from this one on they are of the further kinds as well
ADVICE_FROM: Final = 3_000_000  # and from this one on a model speaks of them


@dataclass(frozen=True, slots=True)
class Desk:
    """One account of a world."""

    settings: DeskSettings
    limits: Limits


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a world is made of."""

    seed: int
    begin_ns: int
    seconds: int  # how long the faults last
    symbols: tuple[str, ...]
    desks: tuple[Desk, ...]
    faults: Faults
    drift: float  # of the price, fraction a second
    transfers: float  # how probable one is, in one second of an account
    edits: float  # how probable it is that a person edits a grid, in one second of an account
    advice: float  # how probable it is that a model speaks of a grid, in one second of an account
    turn_ns: int  # events are handled together when they come within it; 0: each by itself


def scenario(seed: int) -> Scenario:
    """Return the world of `seed`: the same on every machine.

    From `MOVING_FROM` on its grids move, from `KINDS_FROM` on they are of the further kinds as well, from `ADVICE_FROM`
    on a model speaks of them.
    """
    random = Random(seed)
    kinds = seed >= KINDS_FROM
    symbols = tuple(random.sample(sorted(INSTRUMENTS), random.choice((1, 2, 2, 3))))
    slugs = SLUGS[: 2 if random.random() < 0.3 else 1]
    return Scenario(
        seed=seed,
        begin_ns=MIDNIGHT_NS - random.choice((20, 600)) * SECOND_NS,
        seconds=random.choice((40, 60, 60, 80)),
        symbols=symbols,
        desks=tuple(_desk(random, slug, symbols, moving=seed >= MOVING_FROM, kinds=kinds) for slug in slugs),
        faults=draw(random),
        drift=random.choice((0.0, 0.0, 0.0, -0.0006, 0.0003)),
        transfers=0.1 if seed % WORLDS_PER_TRANSFER == WORLDS_PER_TRANSFER - 1 else 0.0,
        edits=random.choice((0.0, 0.05)) if seed >= MOVING_FROM else 0.0,
        advice=0.3 if seed >= ADVICE_FROM else 0.0,
        turn_ns=random.choice((0, 0, 3_000_000, 50_000_000)),
    )


def other_limits(random: Random, limits: Limits) -> Limits:
    """Return limits that governance may put in force instead: tighter or wider, sometimes without a symbol."""
    dropped = {random.choice(sorted(INSTRUMENTS))} if random.random() < 0.3 else set()
    other = replace(
        _limits(random, tuple(sorted(INSTRUMENTS)), limits.execution_styles),
        version=limits.version + 1,
        symbols=frozenset(INSTRUMENTS) - dropped,
    )
    if random.random() < NOT_A_NUMBER:
        return replace(other, max_total_exposure_fraction=Decimal("NaN"))
    return other


def _desk(random: Random, slug: str, symbols: tuple[str, ...], *, moving: bool, kinds: bool) -> Desk:
    style = random.choice(tuple(ExecutionStyle))
    step = random.choice(STEPS)
    grids: tuple[Chosen, ...] = tuple(
        GridSettings(symbol, style, step, random.choice((4, 8)), LOT_QUOTE) for symbol in symbols
    )
    if moving:
        grids = tuple(edited(random, one, kinds=kinds) for one in grids)
    styles = frozenset(ExecutionStyle) if moving else frozenset({style})  # what falls out may have to go at market
    settings = DeskSettings(slug, "USDT", grids, DEMO_FEES, CAPITAL_QUOTE)
    return Desk(settings, _limits(random, symbols, styles))


def edited(random: Random, grid: Chosen, *, kinds: bool = False) -> Chosen:
    """Return what a person makes of a running grid: another ladder, other bounds of the same, rarely one that stays."""
    old = plain(grid) if isinstance(grid, GridSettings) else grid
    like = GridSettings(grid.symbol, grid.style, old.step_fraction or STEPS[0], grid.slots, LOT_QUOTE)
    if random.random() < 0.2 and isinstance(grid, GridSpec):
        return replace(like, slots=random.choice((2, 4)))
    new = moving_grid(random, like)
    stays = random.random() < 0.5
    if stays:  # where it lies
        new = replace(new, **{name: getattr(old, name) for name in OF_THE_LADDER})
    return of_a_kind(random, new) if kinds and not (stays and isinstance(grid, GridSpec)) else new


def advice_at_random(random: Random, symbol: str, now_ns: int) -> GridAdvice | None:
    """Return what a model says of a grid: any restraint for some seconds, nothing more, or nonsense (`NONSENSE`)."""
    if random.random() < 0.2:
        return None
    said = GridAdvice(
        symbol=symbol,
        model=f"{random.randrange(3)}",
        at_ns=now_ns,
        valid_until_ns=now_ns + random.choice((2, 8, 20)) * SECOND_NS,
        floor_fraction=random.choice((0.0, 0.0, 0.0005, 0.0012, 0.01)),
        levels=random.choice((None, None, 0, 1, 2, 3)),
        size_fraction=random.choice((1.0, 1.0, 0.5, 0.3, 0.0)),
        skew=random.choice((0.0, 0.0, -0.4, 0.7, 1.0)),
        pause_buys=random.random() < 0.2,
        pause_sells=random.random() < 0.2,
    )
    if random.random() < 0.8:
        return said
    wrong: tuple[dict[str, Any], ...] = (
        {"size_fraction": float("nan")},
        {"size_fraction": 3.0},
        {"at_ns": now_ns - 60 * SECOND_NS, "valid_until_ns": now_ns - 1},
        {"at_ns": now_ns + SECOND_NS, "valid_until_ns": now_ns + 9 * SECOND_NS},
    )
    return replace(said, model=NONSENSE, **random.choice(wrong))


def moving_grid(random: Random, like: GridSettings) -> GridSpec:
    """Return a grid on the same symbol that trails, is laid anew, starts or ends by itself; every choice is common."""
    centre = INSTRUMENTS[like.symbol].price(OPENING_TICKS[like.symbol])
    follows = random.choice(("up", "down", "both", "recentre", "recentre", "nothing"))

    def near(*fractions: str) -> Decimal:
        return (centre * Decimal(random.choice(fractions))).quantize(Decimal("0.01"))

    trail_up = near("1.004", "1.02") if follows in ("up", "both") else None
    trail_down = near("0.996", "0.98") if follows in ("down", "both") else None
    return GridSpec(
        symbol=like.symbol,
        slots=random.choice((2, 3, 4)),
        lot_quote=like.lot_quote,
        style=like.style,
        spacing=random.choice(tuple(Spacing)),
        step_fraction=like.step_fraction,
        trail_up_to=trail_up,
        trail_down_to=trail_down,
        recentre_steps=random.choice((1, 2)) if follows == "recentre" else None,
        carried=random.choice((Carried.KEEP, Carried.CLOSE)),
        stop=near("0.995", "0.979") if trail_down is None else near("0.979") if random.random() < 0.4 else None,
        take_profit=near("1.005", "1.021") if trail_up is None else near("1.021") if random.random() < 0.3 else None,
        flatten=random.random() < 0.5,
        start_at=near("0.999", "1.001") if random.random() < 0.3 else None,
    )


def of_a_kind(random: Random, grid: GridSpec) -> GridSpec:
    """Return `grid` with what only some kinds have: virtual far levels, a measured step, inventory from the start."""
    if grid.style is ExecutionStyle.MAKER and random.random() < 0.5:
        grid = replace(grid, slots=random.choice((3, 5, 8)), resting=random.choice((1, 1, 2)))
    if random.random() < 0.4:
        multiple, bars, bar_s = random.choice((1, 2, 4)), random.choice((1, 2, 3)), random.choice((1, 2, 5))
        grid = replace(grid, step_fraction=None, atr_multiple=Decimal(multiple), atr_bars=bars, atr_bar_s=bar_s)
    if random.random() < 0.5:
        grid = replace(grid, mode=Mode.NEUTRAL)
    return grid


def _limits(random: Random, symbols: tuple[str, ...], styles: frozenset[ExecutionStyle]) -> Limits:
    return Limits(
        phase="4.x",
        version=1,
        capital_quote=CAPITAL_QUOTE,
        symbols=frozenset(symbols),
        execution_styles=styles,
        max_position_fraction=Decimal("0.02"),
        max_symbol_exposure_fraction=random.choice((Decimal("0.05"), Decimal("0.10"))),
        max_total_exposure_fraction=random.choice((Decimal("0.07"), Decimal("0.18"))),
        max_daily_drawdown_fraction=random.choice((Decimal("0.0015"), Decimal("0.02"), Decimal("0.05"))),
        max_daily_drawdown_hard_fraction=random.choice((Decimal("0.003"), Decimal("0.10"))),
        max_symbol_drawdown_fraction=random.choice((None, Decimal("0.001"), Decimal("0.01"))),
        max_daily_trades=random.choice((9, 30, 60)),
        max_open_orders=random.choice((3, 4, 10, 20)),
    )
