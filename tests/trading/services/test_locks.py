"""People act while an execution loop stores a turn that touches the same row: both come through."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from trading.domain.admitting import fingerprint
from trading.domain.carrying import Touch
from trading.domain.events import Severity
from trading.domain.modes import Mode
from trading.models import Account, Alert, AuditEvent, CapitalTransfer, Grid, VenueInstrument
from trading.services import alerts, audit, grids, transfers
from trading.services.locks import lock_account

from .test_transfers import put

pytestmark = pytest.mark.django_db(transaction=True)
Act = Callable[[Account, datetime], object]


def _pause(account: Account, now: datetime) -> object:
    return grids.pause(account=account, symbol="BTCUSDT", by="trader", reason="", at=now)


def _edit(account: Account, now: datetime) -> object:
    words = {"slots": "4", "step_fraction": "0.002", "lot_quote": "8", "style": "TAKER"}
    grid = Grid.objects.get()
    VenueInstrument.objects.get_or_create(
        venue=account.venue, symbol=grid.symbol, tick_size="0.01", lot_size="0.00001", min_notional=5, as_of=now
    )
    touch = Touch(1, 60_000_00, 60_000_01, 60_000_00)
    seen = fingerprint(grid.chosen)
    return grids.edit(account=account, symbol=grid.symbol, words=words, seen=seen, touch=touch, by="trader", at=now)


def _acknowledge(account: Account, now: datetime) -> object:
    return alerts.acknowledge(alert_id=Alert.objects.get(code="SLIPPAGE").pk, by=User.objects.get(), at=now)


def _shelve(account: Account, now: datetime) -> object:
    alert, why = Alert.objects.get(code="SLIPPAGE"), "known for a week"
    return alerts.shelve(alert_id=alert.pk, by=User.objects.get(), hours=1, reason=why, at=now)


def _confirm(account: Account, now: datetime) -> object:
    asked = CapitalTransfer.objects.get()
    return transfers.confirm(account=account, transfer_id=asked.pk, moved_quote=Decimal(1), by="cto", at=now)


@pytest.fixture
def turn(account: Account, now: datetime) -> Iterator[Callable[[], None]]:
    """Begin a turn as the journal does (account, head of the trail); the returned function ends it on other rows."""
    held, may_end = Event(), Event()
    failures: list[BaseException] = []

    def store() -> None:
        try:
            with transaction.atomic():
                lock_account(account.pk)
                audit.record(actor="runtime:micro", action="orders.changed", subject="x", payload={}, at=now)
                held.set()
                may_end.wait(10)
                for model in (Grid, Alert, CapitalTransfer):
                    list(model._default_manager.select_for_update().all())
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    loop = Thread(target=store)
    loop.start()
    assert held.wait(10)
    yield may_end.set
    loop.join(10)
    assert failures == []


@pytest.mark.parametrize(
    "act", [_pause, _edit, _acknowledge, _shelve, _confirm], ids=lambda act: act.__name__.strip("_")
)
def test_a_person_and_a_turn_wait_for_each_other_in_one_order(
    account: Account, now: datetime, act: Act, request: pytest.FixtureRequest
) -> None:
    Grid.objects.create(
        account=account, symbol="BTCUSDT", style="TAKER", spacing="geometric", step_fraction="0.001", slots=8,
        lot_quote=6,
    )  # fmt: skip
    User.objects.create_user("trader")
    alerts.raise_alert(account=account, severity=Severity.WARN, code="SLIPPAGE", message="x", at=now)
    put(account, 300, now)
    Account.objects.update(mode=Mode.TESTNET)
    account.refresh_from_db()
    put(account, 600, now)
    end_turn = request.getfixturevalue("turn")
    before = AuditEvent.objects.count()
    failures: list[BaseException] = []

    def person() -> None:
        try:
            act(account, now)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    acting = Thread(target=person)
    acting.start()
    acting.join(0.3)  # long enough to have locked what it locks first
    end_turn()
    acting.join(10)

    assert failures == []
    assert AuditEvent.objects.count() == before + 2
