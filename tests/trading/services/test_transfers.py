"""What the capital in force lies above or below what was paid in is asked for, and booked once."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import Error, transaction

from trading.domain.desk import TraderState
from trading.domain.events import PersistDay, PersistFlow
from trading.domain.flows import Flow, Funding, Word
from trading.domain.limits import ExecutionStyle, Limits
from trading.models import Account, Alert, AuditEvent, CapitalTransfer, CashFlow, EquitySample, Mandate, VenueReading
from trading.runtime import rows
from trading.selectors.numbers import UNKNOWN
from trading.selectors.recovery import nanoseconds, trader_state
from trading.selectors.transfers import due
from trading.services import mandates, transfers
from trading.services.journal import DatabaseJournal

pytestmark = pytest.mark.django_db
NOW_NS = 1_795_262_400_000_000_000  # 2026-11-21 12:00 UTC


def put(account: Account, capital: int, at: datetime) -> Mandate:
    """Put a mandate of this capital in force."""
    limits = Limits(
        phase="4.0",
        version=1,
        capital_quote=Decimal(capital),
        symbols=frozenset({"BTCUSDT"}),
        execution_styles=frozenset({ExecutionStyle.TAKER}),
        max_position_fraction=Decimal("0.02"),
        max_symbol_exposure_fraction=Decimal("0.5"),
        max_total_exposure_fraction=Decimal("0.5"),
        max_daily_drawdown_fraction=Decimal("0.02"),
        max_daily_drawdown_hard_fraction=Decimal("0.05"),
        max_symbol_drawdown_fraction=None,
        max_daily_trades=20,
        max_open_orders=3,
        max_retries=3,
    )
    terms = mandates.Terms(limits=limits, symbols=("BTCUSDT",))
    return mandates.put_into_force(account=account, terms=terms, by="cto", at=at)


def asked() -> list[tuple[str, Decimal, bool]]:
    return [(row.flow_id, row.amount_quote, row.is_void) for row in CapitalTransfer.objects.order_by("id")]


def stored(
    amount: str, *, number: int | str = 2, paid_in: str = "", scale: str = "2", at_ns: int = NOW_NS
) -> PersistFlow:
    flow = Flow(f"gcf-micro-{number}", Decimal(amount), at_ns)
    return PersistFlow(
        flow, Decimal(300), Decimal(paid_in or amount), Decimal(scale), Decimal(301), lap=0, day_at_ns=NOW_NS,
        at_ns=at_ns,
    )  # fmt: skip


def begin(journal: DatabaseJournal) -> None:
    journal.commit_now([PersistDay(0, Decimal(300), Decimal(300), "start", NOW_NS)], at_ns=NOW_NS)


def test_the_first_capital_is_what_the_account_was_funded_with(account: Account, now: datetime) -> None:
    put(account, 300, now)

    assert asked() == []


def test_what_capital_rises_by_is_asked_for_once(account: Account, now: datetime) -> None:
    for capital in (300, 600, 600):
        put(account, capital, now)

    assert asked() == [("gcf-micro-2", Decimal(300), False)]
    event = AuditEvent.objects.get(action="transfer.asked")
    assert event.payload["amount_quote"] == "300.00000000"
    assert Alert.objects.get(code="TRANSFER").message == "Capital in force is 600 USDT: 300 USDT are paid in."
    assert rows.read("micro").transfers == (rows.TransferWish("gcf-micro-2", Decimal(300)),)


def test_capital_that_falls_asks_for_money_out(account: Account, now: datetime) -> None:
    for capital in (600, 300):
        put(account, capital, now)

    assert asked() == [("gcf-micro-2", Decimal(-300), False)]


def test_what_was_really_paid_counts_for_the_next_one(
    account: Account, journal: DatabaseJournal, now: datetime
) -> None:
    put(account, 300, now)
    begin(journal)
    put(account, 100, now)
    journal.commit_now([stored("-150", scale="0.5")], at_ns=NOW_NS)  # 50 were not free

    put(account, 400, now)

    assert asked()[-1] == ("gcf-micro-3", Decimal(250), False)


@pytest.mark.parametrize("mode", ["TESTNET", "LIVE"])
def test_beyond_paper_people_move_the_money_and_are_told_how_much(account: Account, now: datetime, mode: str) -> None:
    Account.objects.update(mode=mode)
    account.refresh_from_db()
    for capital in (300, 600, 1_000):
        put(account, capital, now)

    assert asked() == [("gcf-micro-2", Decimal(300), True), ("gcf-micro-3", Decimal(700), False)]
    said = Alert.objects.filter(code="TRANSFER").latest("id").message
    assert "Capital in force is 1000 USDT: deposit 700 USDT" in said
    assert "The console moves no money there: confirm on the page Going live what was moved." in said


@pytest.fixture
def live(account: Account, journal: DatabaseJournal, now: datetime) -> Account:
    """The desk beyond PAPER, with 300 in its books and 600 in force."""
    Account.objects.update(mode="LIVE")
    for row in (account, journal._account):
        row.refresh_from_db()
    put(account, 300, now)
    begin(journal)
    put(account, 600, now)
    return account


def say(account: Account, moved: str, at: datetime) -> CapitalTransfer:
    """Say that so much was moved of the transfer that is open."""
    transfer = CapitalTransfer.objects.latest("id")
    return transfers.confirm(
        account=account, transfer_id=transfer.pk, moved_quote=Decimal(moved), by="cto", at=at
    )  # fmt: skip


def read(account: Account, ours: str, venue: str, at: datetime) -> None:
    """Keep a reading of the venue."""
    facts = {"is_clean": False, "local_open": 0, "venue_open": 0, "balances": {"USDT": [ours, venue]}, "at": at}
    VenueReading.objects.update_or_create(account=account, defaults=facts)


def test_a_persons_word_is_kept_once_and_told_to_the_loop(live: Account, now: datetime) -> None:
    assert [flow.word for wish in rows.read("micro").transfers for flow in wish.told] == [Word.NOBODY]

    say(live, "300", now)

    (wish,) = rows.read("micro").transfers
    asked_flow = Flow("gcf-micro-2", Decimal(300), 0, Word.NOBODY)
    assert wish.told == (asked_flow, Flow("gcf-micro-2", Decimal(300), NOW_NS, Word.PERSON))
    event = AuditEvent.objects.latest("sequence")
    assert (event.action, event.payload["confirmed_quote"]) == ("transfer.confirmed", "300")
    with pytest.raises(transfers.UnableToConfirm, match="This amount is confirmed already"):
        say(live, "300", now)


@pytest.mark.parametrize(
    ("capital", "moved", "why"),
    [
        (600, "0", "is no amount of USDT"), (600, "-5", "is no amount of USDT"), (600, "NaN", "is no amount of USDT"),
        (600, "0.000000001", "is no amount of USDT"), (600, "1.000000001", "is no amount of USDT"),
        (100, "200.00000001", "more than the 200 USDT that were asked for"),
    ],
)  # fmt: skip
def test_what_nobody_can_have_moved_is_no_word(
    account: Account, now: datetime, capital: int, moved: str, why: str
) -> None:
    Account.objects.update(mode="LIVE")
    account.refresh_from_db()
    for amount in (300, capital):
        put(account, amount, now)

    with pytest.raises(transfers.UnableToConfirm, match=f"amount: .*{why}|amount: {why}"):
        say(account, moved, now)

    assert CapitalTransfer.objects.get().confirmed_quote is None


def test_a_part_is_booked_and_what_it_leaves_open_is_asked_for_again(
    live: Account, journal: DatabaseJournal, now: datetime
) -> None:
    for moved, number, left in (("120", 2, "180"), ("80.5", "2.2", "99.5"), ("99.5", "2.3", None)):
        say(live, moved, now)
        journal.commit_now([stored(moved, number=number)], at_ns=NOW_NS)

        open_ = [wish.amount_quote for wish in rows.read("micro").transfers]
        assert open_ == ([] if left is None else [Decimal(left)])
        assert transfers.funded(live) == 600

    assert [flow.amount_quote for flow in CashFlow.objects.all()] == [Decimal(120), Decimal("80.5"), Decimal("99.5")]
    put(live, 600, now)
    assert rows.read("micro").transfers == ()


def test_a_word_takes_the_place_of_the_one_before_and_nothing_else_is_booked(
    live: Account, journal: DatabaseJournal, now: datetime
) -> None:
    say(live, "300", now)
    say(live, "120", now)

    assert AuditEvent.objects.latest("sequence").payload["before"] == "300.000000000000"
    with pytest.raises(transfers.UnableToBook, match="nobody confirmed 300 of gcf-micro-2"):
        journal.commit_now([stored("300")], at_ns=NOW_NS)
    assert not CashFlow.objects.exists()


def test_more_than_was_asked_for_is_booked_whole_and_counts_for_the_next(
    live: Account, journal: DatabaseJournal, now: datetime
) -> None:
    say(live, "310", now)
    journal.commit_now([stored("310")], at_ns=NOW_NS)

    assert rows.read("micro").transfers == ()
    put(live, 600, now)
    assert asked()[-1] == ("gcf-micro-3", Decimal(-10), False)


def test_what_was_void_before_it_was_booked_is_not_booked(
    live: Account, journal: DatabaseJournal, now: datetime
) -> None:
    say(live, "300", now)
    put(live, 700, now)

    with pytest.raises(transfers.UnableToBook, match="was not asked for"):
        journal.commit_now([stored("300")], at_ns=NOW_NS)


def test_a_transfer_ends_when_nothing_of_it_shows(live: Account, now: datetime) -> None:
    transfer = CapitalTransfer.objects.get()
    end = {"account": live, "transfer_id": transfer.pk, "by": "cto", "at": now}

    with pytest.raises(transfers.UnableToConfirm, match="What the venue holds is not known"):
        transfers.end(**end)  # type: ignore[arg-type]  # by name
    read(live, "300", "300", now - timedelta(seconds=16))
    with pytest.raises(transfers.UnableToConfirm, match="What the venue holds is not known"):
        transfers.end(**end)  # type: ignore[arg-type]  # by name
    read(live, "300", "420.5", now)
    with pytest.raises(transfers.UnableToConfirm, match=r"The venue shows 120\.5 USDT of it: confirm that first"):
        transfers.end(**end)  # type: ignore[arg-type]  # by name
    read(live, "300", "300", now)
    transfers.end(**end)  # type: ignore[arg-type]  # by name

    assert rows.read("micro").transfers == ()
    assert AuditEvent.objects.latest("sequence").action == "transfer.ended"
    put(live, 700, now)
    assert asked()[-1] == ("gcf-micro-3", Decimal(400), False)


@pytest.mark.parametrize(
    ("venue", "shown"),
    [
        ("300", ("300", "0", "0", "300", "", "300")),
        ("420.12345678", ("300", "0", "120.12345678", "179.87654322", "", "120.12345678")),
        ("610", ("300", "0", "310", "0", "10", "310")),
        ("200", ("300", "0", "0", "300", "", "300")),
    ],
    ids=["nothing", "a part", "more than asked", "less than the books"],
)
def test_people_are_shown_what_was_asked_what_shows_and_what_is_missing(
    live: Account, now: datetime, venue: str, shown: tuple[str, ...]
) -> None:
    read(live, "300", venue, now)

    (line,) = due(live, now)

    assert (line.asked, line.booked, line.seen, line.missing, line.over, line.amount) == shown
    assert line.is_deposit


def test_what_the_venue_holds_is_not_guessed(live: Account, journal: DatabaseJournal, now: datetime) -> None:
    say(live, "120", now)
    journal.commit_now([stored("120")], at_ns=NOW_NS)

    (line,) = due(live, now)

    assert (line.asked, line.booked, line.seen, line.missing, line.can_end) == ("300", "120", UNKNOWN, UNKNOWN, False)


def test_nobody_confirms_what_the_console_moves_itself(account: Account, now: datetime) -> None:
    for capital in (300, 600):
        put(account, capital, now)

    with pytest.raises(transfers.UnableToConfirm):
        say(account, "300", now)


def test_a_transfer_is_booked_with_its_turn_and_never_again(
    account: Account, journal: DatabaseJournal, now: datetime
) -> None:
    put(account, 300, now)
    begin(journal)
    put(account, 600, now)
    journal.commit_now([stored("300")], at_ns=NOW_NS)

    with pytest.raises(transfers.UnableToBook, match="gcf-micro-2 was not asked for, or is booked already"):
        journal.commit_now([stored("300")], at_ns=NOW_NS)

    assert CashFlow.objects.get().transfer.flow_id == "gcf-micro-2"
    assert rows.read("micro").transfers == ()
    assert AuditEvent.objects.latest("sequence").payload["transfers"] == [["gcf-micro-2", "300", "300"]]


def test_what_nobody_asked_for_is_not_booked(account: Account, journal: DatabaseJournal, now: datetime) -> None:
    put(account, 300, now)

    with pytest.raises(transfers.UnableToBook):
        journal.commit_now([stored("300", number=9)], at_ns=NOW_NS)

    assert not CashFlow.objects.exists()


def test_what_is_booked_is_never_changed(account: Account, journal: DatabaseJournal, now: datetime) -> None:
    put(account, 300, now)
    put(account, 600, now)
    journal.commit_now([stored("300")], at_ns=NOW_NS)

    with pytest.raises(Error, match="append-only"), transaction.atomic():
        CashFlow.objects.update(amount_quote=1)
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        CashFlow.objects.get().delete()


def test_a_restart_is_given_every_transfer_and_the_high_water_mark_without_them(
    account: Account, journal: DatabaseJournal, now: datetime
) -> None:
    put(account, 300, now)
    begin(journal)
    put(account, 600, now)
    flow = stored("300", at_ns=NOW_NS + 60_000_000_000)
    journal.commit_now([flow], at_ns=NOW_NS)
    for minutes, equity in ((0, 400), (2, 640)):  # the first is of before the transfer, and in its mark already
        EquitySample.objects.create(
            account=account, equity_quote=equity, pnl_day_quote=0, drawdown_fraction=0, lap=0,
            at=now + timedelta(minutes=minutes),
        )  # fmt: skip

    state = trader_state(account)

    assert isinstance(state, TraderState)
    assert state.flows == (flow,)
    assert state.high_water_quote == Funding(Decimal(300), Decimal(2)).unscaled(Decimal(640))
    assert nanoseconds(now) == NOW_NS
