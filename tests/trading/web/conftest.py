"""Two demo desks, the people who run them, and a Valkey without yesterday's values."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from pytest_django import Settings

if TYPE_CHECKING:  # pytest loads this file before Django is set up
    from django.contrib.auth.models import User

    from trading.models import Account, Order

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MakeOrder = Callable[..., "Order"]


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@pytest.fixture(autouse=True)
def no_live_values() -> Iterator[None]:
    from trading.live.door import valkey

    valkey().flushdb()
    yield
    valkey().flushdb()


@pytest.fixture
def desks(request: pytest.FixtureRequest) -> "dict[str, Account]":
    from trading.models import Account
    from trading.services.demo import load_demo

    marker = request.node.get_closest_marker("django_db")
    request.getfixturevalue("transactional_db" if marker and marker.kwargs.get("transaction") else "db")
    load_demo(at=NOW)
    return {account.slug: account for account in Account.objects.all()}


@pytest.fixture
def micro(desks: "dict[str, Account]") -> "Account":
    return desks["micro"]


@pytest.fixture
def trader(desks: "dict[str, Account]") -> "User":
    from django.contrib.auth.models import User

    return User.objects.get(username="trader")


@pytest.fixture
def signed_in(client: Client, trader: "User") -> Client:
    """A browser in which the trader is signed in."""
    client.force_login(trader)
    return client


@pytest.fixture
def make_order(micro: "Account") -> MakeOrder:
    """Return a function that stores one order of the micro desk."""
    from trading.models import Order

    made = 0

    def make(**changes: object) -> Order:
        nonlocal made
        made += 1
        facts: dict[str, object] = {
            "account": micro,
            "client_order_id": f"gc-micro-1-{made}",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "purpose": "grid",
            "slot": 0,
            "price": Decimal("60000.10"),
            "quantity": Decimal("0.00010"),
            "price_ticks": 6_000_010,
            "quantity_lots": 10,
            "reference_ticks": 6_000_010,
            "status": "ACCEPTED",
            "decided_at": NOW,
            "decided_at_ns": 0,
            "updated_at": NOW,
        }
        return Order.objects.create(**{**facts, **changes})

    return make
