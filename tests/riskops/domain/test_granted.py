"""A phase grants the same numbers wherever they are read: nothing of it is left out."""

from dataclasses import asdict
from decimal import Decimal

import pytest

from riskops.domain.granted import granted
from riskops.domain.steps import ROADMAP
from tests.riskops.domain.test_phases import SHIPPED
from trading.domain.limits import ExecutionStyle, Limits


def test_every_limit_of_the_runtime_is_granted_by_name() -> None:
    phase = SHIPPED["4.4c"]
    limits, executor, monitoring = phase.limits, phase.executor, phase.monitoring

    assert granted(phase) == Limits(
        phase="4.4c",
        version=phase.version,
        capital_quote=Decimal(50_000),
        symbols=frozenset(phase.symbols),
        execution_styles=frozenset({ExecutionStyle.TAKER, ExecutionStyle.MAKER}),
        max_retries=executor.max_retries,
        order_timeout_ms=executor.timeout_ms,
        position_sync_every_s=monitoring.position_sync_every_s,
        health_every_s=monitoring.health_every_s,
        metrics_every_s=monitoring.metrics_every_s,
        **{name: value for name, value in asdict(limits).items() if name in Limits.__dataclass_fields__},
    )


def test_the_loss_of_a_trade_bounds_the_lot_where_it_is_the_smaller() -> None:
    limits = granted(SHIPPED["4.4c"])

    assert limits.max_trade_loss_quote == 50
    assert limits.max_lot_quote < limits.max_position_quote


@pytest.mark.parametrize("name", ROADMAP)
def test_every_phase_grants_sound_numbers(name: str) -> None:
    assert granted(SHIPPED[name]).unsound == ""
