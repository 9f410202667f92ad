"""What a phase grants, in the numbers that the runtime is held to: the same for the preview, the check and the deed."""

from typing import Final

from riskops.domain.phases import Phase
from trading.domain.limits import ExecutionStyle, Limits

STYLES: Final = {"MARKET": ExecutionStyle.TAKER, "LIMIT": ExecutionStyle.MAKER}


def granted(phase: Phase) -> Limits:
    """Return every limit of `phase`; the version is the template's until a mandate gives it its own."""
    limits, executor, monitoring = phase.limits, phase.executor, phase.monitoring
    return Limits(
        phase=phase.id,
        version=phase.version,
        capital_quote=phase.capital_quote,
        symbols=frozenset(phase.symbols),
        execution_styles=frozenset(STYLES[kind] for kind in executor.order_types),
        max_position_fraction=limits.max_position_fraction,
        max_symbol_exposure_fraction=limits.max_symbol_exposure_fraction,
        max_total_exposure_fraction=limits.max_total_exposure_fraction,
        max_daily_drawdown_fraction=limits.max_daily_drawdown_fraction,
        max_daily_drawdown_hard_fraction=limits.max_daily_drawdown_hard_fraction,
        max_symbol_drawdown_fraction=limits.max_symbol_drawdown_fraction,
        max_daily_trades=limits.max_daily_trades,
        max_open_orders=limits.max_open_orders,
        max_trade_loss_quote=limits.max_trade_loss_quote,
        max_slippage_loss_quote=limits.max_slippage_loss_quote,
        max_retries=executor.max_retries,
        order_timeout_ms=executor.timeout_ms,
        position_sync_every_s=monitoring.position_sync_every_s,
        health_every_s=monitoring.health_every_s,
        metrics_every_s=monitoring.metrics_every_s,
    )
