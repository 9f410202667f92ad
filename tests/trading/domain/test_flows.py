"""Money that is paid in or out: cash, and neither profit, loss nor drawdown; booked once, whatever happens."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.domain.hand import BEGIN, SECOND, SYMBOL, Hand
from tests.trading.domain.test_ledger import executions, fill, ledger
from trading.domain.events import (
    DAY_NS,
    PersistFlow,
    RaiseAlert,
    ReadVenue,
    SeamReached,
    Severity,
    TransferMade,
)
from trading.domain.evidence import Equity, Facts, merged
from trading.domain.flows import UNFUNDED, Flow, Funding, Word, flow_id
from trading.domain.ledger import Booking, Contradiction
from trading.domain.measuring import Material, daily_returns
from trading.domain.metrics import drawdown_fraction
from trading.domain.orders import Side

CASH = Decimal(10**9)
amounts = st.decimals(-1_000, 1_000, places=8).filter(bool)


def deposit(amount: int | str = 1_000, number: int = 2) -> Flow:
    return Flow(flow_id("micro", number), Decimal(amount), BEGIN)


def paid(hand: Hand, flow: Flow) -> None:
    """Let the venue make a transfer and a reading show it."""
    balances = {**hand.trader.balances(), "USDT": hand.trader.balances()["USDT"] + flow.amount_quote}
    hand.read(flows=[flow], balances=balances)


# --- the ledger -------------------------------------------------------------------------------------------------------


@given(executions, st.lists(st.tuples(st.integers(0, 60), amounts), max_size=10))
def test_whatever_is_paid_in_and_out_the_profit_is_that_of_the_fills(
    moves: list[tuple[Side, int, int, int]], payments: list[tuple[int, Decimal]]
) -> None:
    plain, paying, total = ledger(CASH), ledger(CASH), Decimal(0)
    for number in range(61):
        for _, amount in (payment for payment in payments if payment[0] == number):
            paying.pay(amount)
            total += amount
        if number < len(moves):
            side, lots, price, slot = moves[number]
            execution, bookings = fill(number, side, lots, price), list[Booking | None]()
            for books in (plain, paying):
                try:
                    bookings.append(books.apply(execution, slot))
                except Contradiction:
                    bookings.append(None)
            assert bookings[0] == bookings[1]

    assert paying.balances() == {**plain.balances(), "USDT": plain.cash + total}
    assert paying.positions == plain.positions
    for mark in (None, 5_000_000):
        marks = {} if mark is None else {"BTCUSDT": mark}
        assert paying.day_pnl("BTCUSDT", mark) == plain.day_pnl("BTCUSDT", mark)
        assert paying.equity(marks) - total == pytest.approx(plain.equity(marks), abs=Decimal("1e-15"))


@pytest.mark.parametrize("amount", ["0", "-1000.01", "NaN", "Infinity"])
def test_a_transfer_that_cannot_be_changes_nothing(amount: str) -> None:
    books = ledger()

    with pytest.raises(Contradiction, match="a transfer"):
        books.pay(Decimal(amount))

    assert books.cash == Decimal(1_000)


# --- what it makes of the equity --------------------------------------------------------------------------------------


@given(st.decimals(1, 10**6, places=4), st.decimals(1, 10**6, places=4), st.decimals("-0.9", 9, places=3).filter(bool))
def test_a_transfer_leaves_a_drawdown_where_it_was(high: Decimal, equity: Decimal, part: Decimal) -> None:
    amount = (equity * part).quantize(Decimal("1e-8"))

    funding = UNFUNDED.after(amount, equity)

    moved = drawdown_fraction(funding.reference(high, UNFUNDED), equity + amount)
    assert moved == pytest.approx(drawdown_fraction(high, equity), abs=Decimal("1e-9"))
    assert funding.unscaled(equity + amount) == pytest.approx(equity, rel=Decimal("1e-9"))


@pytest.mark.parametrize(("equity", "amount"), [("0", "300"), ("300", "-300"), ("-1", "300")])
def test_an_account_that_is_empty_before_or_after_keeps_its_scale(equity: str, amount: str) -> None:
    funding = Funding(Decimal(5), Decimal(2)).after(Decimal(amount), Decimal(equity))

    assert funding == Funding(Decimal(5) + Decimal(amount), Decimal(2))


# --- the core ---------------------------------------------------------------------------------------------------------


def test_a_deposit_is_cash_and_no_profit() -> None:
    hand = Hand()
    hand.hold()
    hand.top(5_950_000)
    before = hand.trader.view(hand.now_ns)

    paid(hand, deposit())

    after = hand.trader.view(hand.now_ns)
    assert (after.cash_quote, after.equity_quote) == (before.cash_quote + 1_000, before.equity_quote + 1_000)
    assert after.pnl_day_quote == before.pnl_day_quote < 0
    assert after.symbols[0].pnl_day_quote == before.symbols[0].pnl_day_quote
    assert float(after.daily_drawdown_fraction) == pytest.approx(float(before.daily_drawdown_fraction))
    assert float(after.high_water_drawdown_fraction) == pytest.approx(float(before.high_water_drawdown_fraction))
    assert after.reconcile_agrees
    assert hand.codes() == ["TRANSFER"]


def test_what_is_lost_after_a_deposit_is_a_part_of_all_there_is() -> None:
    hand = Hand()
    paid(hand, deposit())
    hand.hold()
    hand.top(5_700_000)

    view = hand.trader.view(hand.now_ns)

    assert view.daily_drawdown_fraction == -view.pnl_day_quote / 2_000
    assert view.pnl_day_quote < 0


def test_a_withdrawal_takes_cash_and_no_loss() -> None:
    hand = Hand()

    paid(hand, deposit(-400))

    view = hand.trader.view(hand.now_ns)
    assert (view.cash_quote, view.pnl_day_quote, view.daily_drawdown_fraction) == (Decimal(600), Decimal(0), Decimal(0))
    assert view.funding.paid_in_quote == -400


def test_a_transfer_is_booked_once_however_often_it_is_read() -> None:
    hand = Hand()
    paid(hand, deposit())

    hand.now_ns += SECOND
    hand.read(flows=[deposit()])
    hand.give(TransferMade(deposit().flow_id))

    assert len(hand.journal_of(PersistFlow)) == 1
    assert not hand.of(ReadVenue)
    assert hand.trader.view(hand.now_ns).cash_quote == 2_000


def test_a_transfer_that_was_made_is_looked_for_at_the_venue() -> None:
    hand = Hand()
    hand.now_ns += SECOND

    hand.give(TransferMade(deposit().flow_id))

    assert [read.reason for read in hand.of(ReadVenue)] == ["transfer"]
    assert hand.trader.view(hand.now_ns).cash_quote == 1_000


@pytest.mark.parametrize("crash", ["after it was made", "after it was booked"])
def test_a_restart_neither_loses_a_transfer_nor_books_it_twice(crash: str) -> None:
    hand = Hand()
    hand.hold()
    if crash == "after it was booked":
        paid(hand, deposit())
        expected = hand.trader.view(hand.now_ns)

    again = hand.restarted()
    if crash == "after it was made":
        paid(again, deposit())
        expected = again.trader.view(again.now_ns)
    else:
        again.read(flows=[deposit()])
        again.top(hand.symbol.bid_ticks or 0)

    view = again.trader.view(again.now_ns)
    assert len(again.journal.flows) == 1
    assert view.cash_quote == expected.cash_quote > 1_900
    assert (view.pnl_day_quote, view.funding) == (expected.pnl_day_quote, expected.funding)
    assert again.restarted().trader.balances() == again.trader.balances()


def test_after_midnight_a_deposit_of_yesterday_is_in_the_opening_also_after_a_restart() -> None:
    hand = Hand(now_ns=BEGIN + DAY_NS - 5 * SECOND)
    paid(hand, deposit())
    hand.seconds(10)
    paid(hand, deposit(-50, 3))

    for one in (hand, hand.restarted()):
        view = one.trader.view(one.now_ns)
        assert (view.opening_equity_quote, view.equity_quote) == (Decimal(2_000), Decimal(1_950))
        assert view.pnl_day_quote == 0
        assert view.daily_drawdown_fraction == 0
        assert view.high_water_drawdown_fraction == pytest.approx(0, abs=1e-11)


def test_a_lap_that_opens_after_a_deposit_opens_with_it() -> None:
    hand = Hand()
    paid(hand, deposit())
    hand.now_ns += SECOND
    hand.give(SeamReached(1, {SYMBOL: 6_000_000}, hand.now_ns))

    again = hand.restarted()

    assert again.trader.balances()["USDT"] == hand.trader.balances()["USDT"] == 2_000
    assert again.trader.view(again.now_ns).funding == hand.trader.view(hand.now_ns).funding


def test_money_of_others_is_no_transfer_of_ours() -> None:
    hand = Hand()

    paid(hand, replace(deposit(), flow_id="a-gift"))
    hand.seconds(4)
    hand.read(balances={"USDT": Decimal(2_000)})

    assert not hand.journal_of(PersistFlow)
    assert hand.trader.view(hand.now_ns).discrepancies == ("balance mismatch: USDT ours 1000, venue 2000",)


def people(asked: str | int, said: str | int | None = None, number: int = 2) -> list[Flow]:
    """What was asked of people, and how much of it they say was moved."""
    flow = replace(deposit(asked, number), word=Word.NOBODY)
    return [flow] if said is None else [flow, replace(flow, amount_quote=Decimal(said), word=Word.PERSON)]


def shown(hand: Hand, held: str | int, flows: list[Flow], seconds: int = 10) -> None:
    """Let every reading of some seconds show these balances: a difference that stays so long halts."""
    for _ in range(seconds):
        hand.seconds(1)
        hand.read(flows=flows, balances={"USDT": Decimal(held)})


@pytest.mark.parametrize(
    ("asked", "said", "held", "booked"),
    [
        (1_000, None, 2_000, 0),
        (1_000, 1_000, 1_000, 0),
        (1_000, 1_000, 1_999, 0),
        (1_000, 1_000, 2_000, 1_000),
        (1_000, 400, 1_400, 400),
        (1_000, 400, 1_399, 0),
        (1_000, 999, 1_999, 999),
        (1_000, 1_000, 1_400, 0),
        (1_000, 1_200, 2_200, 1_200),
        (-600, -200, 800, -200),
        (-600, -600, 800, 0),
    ],
    ids=[
        "it is there, nobody says so", "said, and not there", "said, and less is there", "said, and there",
        "a part", "a part, and less is there", "all but a fee", "all is said, a part is there", "more than asked",
        "a part goes out", "all is said, a part went out",
    ],
)  # fmt: skip
def test_where_people_move_the_money_it_takes_their_word_and_exactly_that_balance(
    asked: int, said: int | None, held: int, booked: int
) -> None:
    hand = Hand()

    shown(hand, held, people(asked, said))

    assert sum(row.flow.amount_quote for row in hand.journal_of(PersistFlow)) == booked
    view = hand.trader.view(hand.now_ns)
    assert view.cash_quote == 1_000 + booked
    assert view.halt is None
    assert view.reconcile_agrees == (held == 1_000 + booked)


@pytest.mark.parametrize(
    ("asked", "held", "halts"),
    [
        (1_000, "1000.00000002", False), (1_000, 1_400, False), (1_000, 9_000, False), (1_000, "999.9", True),
        (-600, 800, False), (-600, 400, False), (-600, "399.9", True), (-600, 1_400, True),
    ],
)  # fmt: skip
def test_only_what_a_transfer_that_is_asked_for_may_explain_does_not_halt(
    asked: int, held: str | int, halts: bool
) -> None:
    hand = Hand()

    shown(hand, held, people(asked))

    view = hand.trader.view(hand.now_ns)
    assert (view.halt is not None) == halts
    assert not view.reconcile_agrees


def told_of_transfers(hand: Hand) -> list[RaiseAlert]:
    return [alert for alert in hand.journal_of(RaiseAlert) if alert.code == "TRANSFER"]


def test_a_part_that_shows_is_told_once_and_by_its_amount() -> None:
    hand = Hand()
    shown(hand, 1_400, people(1_000))

    assert hand.trader.view(hand.now_ns).discrepancies == (
        "transfer: 400 USDT came in while a deposit is asked for: confirm the amount on the page Going live",
    )
    (told,) = told_of_transfers(hand)
    assert told.severity is Severity.INFO
    assert told.message == (
        "400 USDT came in while a deposit is asked for: no new order leaves until the amount is confirmed on the page "
        "Going live"
    )

    shown(hand, "1400.5", people(1_000))
    assert len(told_of_transfers(hand)) == 2


def test_the_next_part_is_announced_as_the_first_was() -> None:
    hand = Hand()
    shown(hand, 1_400, people(1_000, 400))
    shown(hand, 1_900, people(600, number=3))
    assert hand.trader.view(hand.now_ns).cash_quote == 1_400

    shown(hand, 2_000, people(600, 600, number=3))

    view = hand.trader.view(hand.now_ns)
    assert (view.cash_quote, view.funding.paid_in_quote, view.halt) == (Decimal(2_000), Decimal(1_000), None)
    assert view.pnl_day_quote == 0


def test_a_deposit_explains_no_coins_that_are_missing() -> None:
    hand = Hand()
    hand.hold()
    ours = hand.trader.balances()

    for _ in range(10):
        hand.seconds(1)
        hand.read(flows=people(1_000), balances={"USDT": ours["USDT"] + 400, "BTC": Decimal(0)})

    assert hand.trader.view(hand.now_ns).halt is not None


def test_a_withdrawal_beyond_what_we_know_of_waits_for_the_fills_that_explain_it() -> None:
    hand = Hand()

    hand.read(flows=[deposit(-1_001)], balances={"USDT": Decimal(0)})

    assert not hand.journal_of(PersistFlow)
    assert [read.reason for read in hand.of(ReadVenue)] == ["fills are missing"]


def test_a_withdrawal_of_which_nothing_was_free_is_over_all_the_same() -> None:
    hand = Hand()

    paid(hand, deposit(0))

    assert hand.journal_of(PersistFlow)[0].flow.amount_quote == 0
    assert hand.trader.view(hand.now_ns).funding == UNFUNDED


def test_a_desk_uses_what_is_there_and_not_what_is_in_force() -> None:
    hand = Hand()
    paid(hand, deposit(-970))
    hand.hold(2)

    assert hand.top_and_sent(hand.level(1) - 1) == []
    assert "is left at the venue" in hand.slots[1].note

    paid(hand, deposit(970, 3))
    hand.seconds(1)
    hand.top(hand.level(1) + 50)
    assert [order.slot for order in hand.top_and_sent(hand.level(1) - 2)] == [1]


# --- evidence ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.decimals("-0.05", "0.05", places=4), st.decimals("-0.5", 3, places=2)), max_size=12))
def test_evidence_is_the_same_with_and_without_transfers(steps: list[tuple[Decimal, Decimal]]) -> None:
    """Each step earns a return and then pays a part of the equity in or out; both accounts earn the same returns."""
    alone = own = Decimal(300)
    funding, earned = UNFUNDED, Decimal(0)
    plain, funded = [Equity.of(alone)], [Equity.of(own)]
    for earning, part in steps:
        alone *= 1 + earning
        earned += own * earning
        own *= 1 + earning
        amount = (own * part).quantize(Decimal("1e-8"))
        if amount:
            funding, own = funding.after(amount, own), own + amount
        plain.append(Equity.of(alone))
        funded.append(Equity.of(own, funding))

    one, other = (merged(Facts(samples=1, equity=equity) for equity in series).equity for series in (plain, funded))

    assert one is not None
    assert other is not None
    assert float(other.drawdown) == pytest.approx(float(one.drawdown), abs=1e-9)
    assert float(other.pnl) == pytest.approx(float(earned), abs=1e-6)
    days = [_returns(series) for series in (plain, funded)]
    assert days[1] == pytest.approx(days[0], abs=1e-9)


def _returns(series: list[Equity]) -> list[float]:
    days = [Facts(samples=1, equity=equity) for equity in series]
    found = daily_returns(Material.of(days[0], days[1:], alerts={}, styles={}, running=frozenset()))
    assert len(found) == len(list(pairwise(series)))
    return [float(one) for one in found]


def test_facts_of_before_there_were_transfers_read_as_without_any() -> None:
    old = Facts(samples=1, equity=Equity.of(Decimal(300))).to_json()
    for name in ("held_first", "held_last", "paid_in_first", "paid_in_last"):
        del old["equity"][name]

    assert Facts.from_json(old).equity == Equity.of(Decimal(300))
