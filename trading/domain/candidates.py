"""What of a backtest can run as a grid of an account today, and why the rest cannot."""

from collections.abc import Iterator

from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, spec_of
from trading.domain.grid import GridSettings
from trading.domain.grids import Chosen, GridSpec, not_live, settings_of
from trading.domain.limits import Limits
from trading.domain.moving import refusal
from trading.domain.terms import Mode


def why_not_live(settings: BacktestSettings) -> tuple[str, ...]:
    """Return every reason why the live core cannot run the grid of `settings`; none where it can."""
    return tuple(_reasons(settings))


def _reasons(settings: BacktestSettings) -> Iterator[str]:
    try:
        for field, text in not_live(spec_of(settings)):
            yield f"{field}: {text}."
    except UnusableSettings as error:
        yield str(error)
    for name in ("max_drawdown", "max_trades_per_day"):
        if getattr(settings, name) is not None:
            yield f"{name}: it is a limit of the mandate, which people sign, and not of a grid."


def as_chosen(settings: BacktestSettings) -> Chosen:
    """Return the grid of `settings` as an account runs it.

    Raises:
        ValueError: the live core cannot run it; the reasons are `why_not_live`.
    """
    if reasons := why_not_live(settings):
        raise ValueError(" ".join(reasons))
    spec = spec_of(settings)
    is_static = spec.mode is Mode.LONG and settings.is_plain and settings.lower is None and settings.upper is None
    return settings_of(spec) if is_static else spec


def why_not_granted(chosen: Chosen, limits: Limits) -> str:
    """Return why a mandate does not allow a grid, or an empty text; what it needs in all is judged when it is laid."""
    grid = chosen if isinstance(chosen, GridSettings) else settings_of(chosen)
    if grid.symbol not in limits.symbols:
        return f"{grid.symbol} is not granted by the mandate in force; grant it first."
    if grid.style not in limits.execution_styles:
        return f"Style {grid.style} is not granted by the mandate in force; search with another."
    if isinstance(chosen, GridSpec) and (refused := refusal(chosen, limits)) is not None:
        return refused.reason
    if grid.lot_quote > limits.max_lot_quote:
        most = limits.max_lot_quote.normalize()
        return f"A lot of {grid.lot_quote:f} is more than the {most:f} the mandate in force allows; search with less."
    return ""
