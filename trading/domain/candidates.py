"""What of a backtest can run as a grid of an account today, and why the rest cannot."""

from collections.abc import Iterator
from typing import Final

from trading.domain.backtest_settings import OF_A_CAMPAIGN, BacktestSettings, Mode
from trading.domain.grid import GridSettings
from trading.domain.limits import Limits

STATIC: Final = "the live core runs static ladders only"


def why_not_live(settings: BacktestSettings) -> tuple[str, ...]:
    """Return every reason why the live core cannot run the grid of `settings` yet; none where it can."""
    return tuple(_reasons(settings))


def _reasons(settings: BacktestSettings) -> Iterator[str]:
    plain = BacktestSettings()
    for name in OF_A_CAMPAIGN:
        if getattr(settings, name) != getattr(plain, name):
            yield f"{name}: {STATIC}."
    if settings.mode is not Mode.LONG:
        yield f"mode: it is {settings.mode}, and the live core runs long grids only: each slot buys first."
    if settings.lower is not None or settings.upper is not None:
        yield "lower, upper: the live core lays its levels around the price by a step."
    for name in ("max_drawdown", "max_trades_per_day"):
        if getattr(settings, name) is not None:
            yield f"{name}: it is a limit of the mandate, which people sign, and not of a grid."


def as_grid(settings: BacktestSettings) -> GridSettings:
    """Return the grid of `settings` as an account runs it.

    Raises:
        ValueError: the live core cannot run it; the reasons are `why_not_live`.
    """
    if reasons := why_not_live(settings):
        raise ValueError(" ".join(reasons))
    return GridSettings(
        settings.symbol, settings.style, settings.step_fraction, settings.levels - 1, settings.lot, settings.grid
    )


def why_not_granted(grid: GridSettings, limits: Limits) -> str:
    """Return why a mandate does not allow `grid`, or an empty text; what it needs in all is judged when it is laid."""
    if grid.symbol not in limits.symbols:
        return f"{grid.symbol} is not granted by the mandate in force; grant it first."
    if grid.style not in limits.execution_styles:
        return f"Style {grid.style} is not granted by the mandate in force; search with another."
    if grid.lot_quote > limits.max_lot_quote:
        most = limits.max_lot_quote.normalize()
        return f"A lot of {grid.lot_quote:f} is more than the {most:f} the mandate in force allows; search with less."
    return ""
