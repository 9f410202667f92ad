"""A small desk in a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pytest_django.fixtures import SettingsWrapper

from trading.domain.instruments import Instrument
from trading.models import Account
from trading.services.journal import DatabaseJournal

FENCE = 7
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def latch_file(settings: SettingsWrapper, tmp_path: Path) -> Iterator[Path]:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"
    yield settings.HALT_LATCH_FILE


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(slug="micro", name="Micro $300")


@pytest.fixture
def journal(account: Account) -> DatabaseJournal:
    writer = DatabaseJournal(account.slug, FENCE, {"BTCUSDT": BTC})
    writer.claim()
    return writer
