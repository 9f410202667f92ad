"""A small desk in a real database."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

from trading.domain.instruments import Instrument

if TYPE_CHECKING:  # pytest loads this file before Django is set up
    from trading.models import Account
    from trading.services.journal import DatabaseJournal

FENCE = 7
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> Path:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"
    return tmp_path / "halt.latch"


@pytest.fixture
def account(request: pytest.FixtureRequest) -> "Account":
    from trading.models import Account

    request.getfixturevalue("transactional_db" if _transactional(request) else "db")
    return Account.objects.create(slug="micro", name="Micro $300")


@pytest.fixture
def journal(account: "Account") -> "DatabaseJournal":
    from trading.services.journal import DatabaseJournal

    writer = DatabaseJournal(account.slug, FENCE, {"BTCUSDT": BTC})
    writer.claim()
    return writer


def _transactional(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction"))
