"""The latch holds until it may be released."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread, Timer

import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from trading.domain.events import Severity
from trading.domain.limits import TradingState
from trading.domain.scopes import Scope
from trading.models import Account, Alert, AuditEvent, Grid, Halt, Reconciliation
from trading.services import alerts, grids, halts

pytestmark = pytest.mark.django_db(transaction=True)  # the latch file is released after the commit


def halt(now: datetime, *, scope: str | None = None, flatten: bool = False) -> list[Halt]:
    return halts.halt(scope=scope, by="trader", reason="drill", flatten=flatten, at=now)


def prove_clear(account: Account, at: datetime, *, clean: bool = True) -> None:
    Halt.objects.filter(account=account).update(stage=Halt.Stage.PROVEN_CLEAR)
    Reconciliation.objects.create(
        account=account, is_clean=clean, discrepancies=["x"], local_open=0, venue_open=0, at=at
    )


def test_a_halt_latches_account_row_and_file(account: Account, now: datetime, latch_file: Path) -> None:
    halt(now)

    account.refresh_from_db()
    assert account.state == TradingState.HALTED
    assert halts.read_latch_file().keys() == {"*"}
    assert AuditEvent.objects.get().action == "halt.latched"


def test_halting_twice_keeps_one_halt_and_audits_both(account: Account, now: datetime) -> None:
    first = halt(now)
    second = halt(now + timedelta(seconds=1), flatten=True)

    assert first[0].pk == second[0].pk
    assert Halt.objects.get().flatten
    assert AuditEvent.objects.count() == 2


def test_one_account_can_halt_alone(account: Account, now: datetime) -> None:
    other = Account.objects.create(slug="production", name="Production")

    halt(now, scope="micro")

    other.refresh_from_db()
    assert other.state == TradingState.ACTIVE


def grid(account: Account, symbol: str) -> None:
    Grid.objects.create(
        account=account, symbol=symbol, style="TAKER", spacing="geometric", step_fraction=Decimal("0.001"),
        slots=8, lot_quote=Decimal(6),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "halted"),
    [
        ("micro/BTCUSDT", {("micro", "BTCUSDT")}),
        ("*/BTCUSDT", {("micro", "BTCUSDT"), ("production", "BTCUSDT")}),
        ("*/ETHUSDT", {("production", "ETHUSDT")}),
        ("production", {("production", "")}),
    ],
)
def test_a_halt_stops_its_scope_and_nothing_else(
    account: Account, now: datetime, scope: str, halted: set[tuple[str, str]]
) -> None:
    other = Account.objects.create(slug="production", name="Production")
    for each, symbol in ((account, "BTCUSDT"), (other, "BTCUSDT"), (other, "ETHUSDT")):
        grid(each, symbol)

    halt(now, scope=scope)

    assert set(Halt.objects.values_list("account__slug", "symbol")) == halted
    assert halts.read_latch_file().keys() == {scope}
    whole = {slug for slug, symbol in halted if not symbol}
    assert {a.slug for a in Account.objects.filter(state=TradingState.HALTED)} == whole


def test_a_symbol_is_released_by_itself_and_the_account_stays_as_it_is(account: Account, now: datetime) -> None:
    grid(account, "BTCUSDT")
    halt(now)
    halt(now, scope="micro/BTCUSDT")
    prove_clear(account, now)

    halts.release(account=account, by="two people", note="checked", at=now, symbol="BTCUSDT")

    account.refresh_from_db()
    assert account.state == TradingState.HALTED
    assert halts.read_latch_file().keys() == {"micro"}


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("micro/XRPUSDT", "no grid on 'XRPUSDT'; known: BTCUSDT"),
        ("*/XRPUSDT", "no grid on 'XRPUSDT'; known: BTCUSDT"),
        ("micro/", "is no scope"),
    ],
)
def test_a_symbol_nobody_trades_is_named_and_leaves_no_latch(
    account: Account, now: datetime, scope: str, message: str
) -> None:
    grid(account, "BTCUSDT")

    with pytest.raises(halts.UnableToHalt, match=message):
        halt(now, scope=scope)

    assert halts.read_latch_file() == {}
    assert not Halt.objects.exists()


def test_a_symbol_that_only_the_file_holds_is_latched_in_the_database(account: Account, now: datetime) -> None:
    grid(account, "BTCUSDT")
    halts.write_latch_file(Scope("", "BTCUSDT"), by="trader", reason="without a database", at=now)

    halts.take_over_latch_file(at=now)

    assert list(Halt.objects.values_list("account__slug", "symbol", "reason")) == [
        ("micro", "BTCUSDT", "without a database")
    ]


def test_an_unknown_account_is_named_and_leaves_no_latch(account: Account, now: datetime, latch_file: Path) -> None:
    with pytest.raises(halts.UnableToHalt, match="no account 'nobody'; known: micro"):
        halt(now, scope="nobody")

    assert halts.read_latch_file() == {}


def test_a_full_disk_does_not_keep_the_database_from_halting(
    account: Account, now: datetime, settings: Settings, tmp_path: Path
) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "no such folder" / "halt.latch"

    halt(now)

    account.refresh_from_db()
    assert account.state == TradingState.HALTED


def test_a_database_that_does_not_answer_leaves_the_file(
    account: Account, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> list[Halt]:
        raise OperationalError("the connection is gone")

    monkeypatch.setattr(halts, "_latch_accounts", broken)

    with pytest.raises(halts.NoDatabase, match="the connection is gone"):
        halt(now)

    assert halts.read_latch_file().keys() == {"*"}


def test_what_only_the_file_holds_is_latched_once_in_the_database(account: Account, now: datetime) -> None:
    halts.write_latch_file(Scope(), by="trader", reason="pressed without a database", at=now)

    first, second = halts.take_over_latch_file(at=now), halts.take_over_latch_file(at=now)

    account.refresh_from_db()
    assert account.state == TradingState.HALTED
    assert [(each.requested_by, each.reason) for each in first] == [("trader", "pressed without a database")]
    assert AuditEvent.objects.get(action="halt.latched").payload["taken_over_from"] == "latch file"
    assert second == []


def test_a_loop_that_sees_the_file_before_the_row_leaves_the_halt_in_the_name_of_whom_pressed(
    account: Account, now: datetime
) -> None:
    halts.write_latch_file(Scope(), by="trader", reason="drill", at=now)
    halts.take_over_latch_file(at=now)  # between the file and the rows of the same press

    assert [each.requested_by for each in halt(now, flatten=True)] == ["trader"]
    assert Halt.objects.get().flatten


def test_a_latch_that_names_nobody_is_the_files(account: Account, now: datetime, latch_file: Path) -> None:
    latch_file.write_text('{"micro": null}')

    assert [each.requested_by for each in halts.take_over_latch_file(at=now)] == ["latch file"]


def test_a_released_halt_is_not_taken_over_again(account: Account, now: datetime) -> None:
    halt(now)
    prove_clear(account, now)
    halts.release(account=account, by="two people", note="checked", at=now)

    assert halts.take_over_latch_file(at=now) == []


@pytest.fixture
def slow_release(account: Account, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Thread]:
    """Halt two accounts and begin to release the second, which rewrites the file and commits a moment later."""
    second = Account.objects.create(slug="production", name="Production $25,000")
    halt(now)
    for each in (account, second):
        prove_clear(each, now)
    refresh, begun, may_end = halts._refresh_latch_file, Event(), Event()

    def slowly() -> None:
        begun.set()
        may_end.wait(10)
        refresh()

    def release() -> None:
        try:
            halts.release(account=second, by="two people", note="checked", at=now)
        finally:
            connection.close()

    monkeypatch.setattr(halts, "_refresh_latch_file", slowly)
    releasing = Thread(target=release)
    releasing.start()
    assert begun.wait(10)
    monkeypatch.setattr(halts, "_refresh_latch_file", refresh)
    Timer(0.3, may_end.set).start()  # while the test waits for the locks of the release
    yield releasing
    releasing.join(10)


def test_who_takes_the_file_over_while_a_halt_is_released_does_not_latch_it_again(
    slow_release: Thread, now: datetime
) -> None:
    assert halts.take_over_latch_file(at=now) == []
    slow_release.join(10)
    assert list(Halt.objects.filter(released_at=None).values_list("account__slug", flat=True)) == ["micro"]


def test_two_who_release_at_once_leave_nothing_in_the_file(
    account: Account, slow_release: Thread, now: datetime
) -> None:
    halts.release(account=account, by="two people", note="checked", at=now)

    assert halts.read_latch_file() == {}
    assert not Halt.objects.filter(released_at=None).exists()


def test_who_halts_while_another_halt_is_released_stays_in_the_file(
    account: Account, slow_release: Thread, now: datetime
) -> None:
    halts.halt(scope="production", by="engineer", reason="again", flatten=False, at=now)

    assert set(halts.read_latch_file()) == {"micro", "production"}
    assert Halt.objects.filter(released_at=None, account__slug="production").count() == 1


def test_a_damaged_latch_file_latches_everything(account: Account, latch_file: Path) -> None:
    latch_file.write_text("{half")

    assert "*" in halts.read_latch_file()


def test_release_needs_the_proof(account: Account, now: datetime) -> None:
    halt(now)

    with pytest.raises(halts.UnableToRelease, match="not proven clear"):
        halts.release(account=account, by="two people", note="checked", at=now)


@pytest.mark.parametrize(
    ("age_s", "clean", "message"),
    [(15, True, ""), (16, True, "older than 15 s"), (1, False, "not clean")],
    ids=["just young enough", "too old", "dirty"],
)
def test_release_needs_a_young_clean_reconcile(
    account: Account, now: datetime, latch_file: Path, age_s: int, clean: bool, message: str
) -> None:
    halt(now)
    prove_clear(account, now - timedelta(seconds=age_s), clean=clean)

    if message:
        with pytest.raises(halts.UnableToRelease, match=message):
            halts.release(account=account, by="two people", note="checked", at=now)
        assert halts.read_latch_file()
    else:
        halts.release(account=account, by="two people", note="checked", at=now)
        account.refresh_from_db()
        assert (account.state, halts.read_latch_file()) == (TradingState.ACTIVE, {})


def test_releasing_one_account_keeps_the_others_latched(account: Account, now: datetime) -> None:
    Account.objects.create(slug="production", name="Production")
    halt(now)
    prove_clear(account, now)

    halts.release(account=account, by="two people", note="checked", at=now)

    assert halts.read_latch_file().keys() == {"production"}


def test_what_the_halt_answered_is_over_when_people_release_it(account: Account, now: datetime) -> None:
    for code in ("DAILY_DRAWDOWN", "VENUE_ERRORS"):
        alerts.raise_alert(account=account, severity=Severity.CRIT, code=code, message="x", at=now)
    halt(now)
    prove_clear(account, now)

    halts.release(account=account, by="two people", note="checked", at=now)

    cleared = dict(Alert.objects.values_list("code", "cleared_at"))
    assert cleared == {"DAILY_DRAWDOWN": now, "VENUE_ERRORS": None}


def test_what_paused_a_symbol_is_over_when_it_resumes_there_alone(account: Account, now: datetime) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        grid(account, symbol)
        grids.pause(account=account, symbol=symbol, by="rule", reason="lost", at=now)
        alerts.raise_alert(
            account=account, severity=Severity.CRIT, code="GHOST_ORDER", message="x", symbol=symbol, at=now
        )

    grids.unpause(account=account, symbol="BTCUSDT", by="trader", at=now)

    assert dict(Alert.objects.values_list("symbol", "cleared_at")) == {"BTCUSDT": now, "ETHUSDT": None}
