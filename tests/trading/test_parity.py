"""The paper loop and the backtest do the same with the same recording, to the last digit.

The first 20,000 of the recording's 166,351 events run here; `./console bench parity` goes through all of them.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

import pytest
from django.db import transaction

from benchmarks import free_run, parity
from tests.trading.measured import minute
from trading.domain import backtest
from trading.domain.advice import GridAdvice
from trading.domain.advice_tape import as_kept
from trading.domain.events import PersistAdvice
from trading.domain.market import BookTop, MarketEvent
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Side
from trading.models import ADVICE_CHANGED, Account, ConductSample, EquitySample, Fill, Grid, PaperComparison, TradingDay
from trading.services import audit, drift
from trading.services.demo import load_demo
from trading.simulator import listing, replay
from trading.simulator.replay import Recording

EVENTS = 20_000
TOPS = slice(30_000, 42_000)  # of all book tops; busy ones
MINUTE = timedelta(minutes=1)
WORTH = Decimal(25_000)
BAR_EVENTS = 900  # sixteen minutes of seven symbols


@pytest.fixture(scope="module")
def recording() -> Recording:
    return replay.read("ticks", listing.load().instruments)


@pytest.mark.usefixtures("no_session_left")
@pytest.mark.parametrize("slug", ["micro", "production"])
def test_paper_and_backtest_are_the_same_to_the_last_digit(slug: str, recording: Recording) -> None:
    load_demo(at=datetime.now(UTC))

    paper = parity.paper_trail(slug, recording, EVENTS)
    backtest = parity.backtest_trail(slug, recording, EVENTS)

    assert parity.differences(paper, backtest) == []
    assert paper.events == EVENTS
    assert paper.fills, "a proof without fills proves nothing"


@pytest.mark.usefixtures("no_session_left")
def test_core_kernel_and_sockets_leave_the_same_list_of_fills(recording: Recording) -> None:
    """Both symbols on one clock; what is displayed never binds."""
    load_demo(at=datetime.now(UTC))

    ways = parity.three_ways(parity.deep_tops(recording, TOPS))

    assert len(set(parity.hashes(ways).values())) == 1, {name: way.deals for name, way in ways.items()}
    assert ways["core"].at_ms == ways["kernel"].at_ms == ways["sockets"].at_ms
    assert len(ways["sockets"].deals) > 10
    assert {deal.symbol for deal in ways["sockets"].deals} == {"BTCUSDT", "ETHUSDT"}
    assert {deal.side for deal in ways["sockets"].deals} == {Side.BUY, Side.SELL}


@pytest.mark.usefixtures("no_session_left")
def test_no_event_overtakes_the_timers_of_a_quiet_market() -> None:
    """Bars come in bursts with twenty seconds of timers between them."""
    load_demo(at=datetime.now(UTC))
    bars = replay.read("bars", listing.load().instruments)

    paper = parity.paper_trail("production", bars, BAR_EVENTS)
    backtest = parity.backtest_trail("production", bars, BAR_EVENTS)

    assert parity.differences(paper, backtest) == []
    assert len(paper.orders) > 70


@pytest.mark.usefixtures("no_session_left")
def test_what_the_loop_did_on_paper_has_no_drift(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    events = list(islice(replay.events(recording), EVENTS))
    begin, end = (datetime.fromtimestamp(events[place].received_at_ns / 1e9, UTC) for place in (0, -1))
    load_demo(at=begin - MINUTE)
    monkeypatch.setattr(drift, "SHORTEST", timedelta())
    parity.paper_trail("production", recording, EVENTS)
    account = Account.objects.get(slug="production")
    worth = worth_of_its_fills(account, events)
    EquitySample.objects.create(
        account=account, equity_quote=worth, pnl_day_quote=0, drawdown_fraction=0, lap=1, at=end + MINUTE
    )

    def recorded(symbols: Sequence[str], since_ns: int, until_ns: int) -> Iterator[MarketEvent]:
        return (one for one in events if one.symbol in symbols and since_ns <= one.received_at_ns < until_ns)

    assert drift.compare(account, recorded, end + 2 * MINUTE) == 0, "nobody measured how fast its market ran"
    ConductSample.objects.create(account=account, at=begin, facts=minute(speed=1).to_json())
    assert drift.compare(account, recorded, end + 2 * MINUTE) == 1
    found = PaperComparison.objects.get()

    hashes = found.differences.pop("fills_sha256")
    assert hashes["paper"] == hashes["backtest"]
    assert found.differences == {"paper": 0, "backtest": 0, "first": [], "orders_apart": 0, "orders": []}
    assert (found.paper_pnl_quote, found.paper_round_trips) == (found.backtest_pnl_quote, found.backtest_round_trips)
    assert found.paper_round_trips > 0
    assert found.events == EVENTS
    assert not found.is_over

    assert drift.compare(account, recorded, end + 3 * MINUTE) == 0, "a stretch that goes on is compared once a day"
    assert drift.compare(account, lambda *_: [], end + timedelta(days=2)) == 0, "without market data nothing is known"
    assert drift.compare(account, recorded, end + timedelta(days=2)) == 1
    assert PaperComparison.objects.count() == 1
    Grid.objects.update(edited_at=end)
    assert drift.compare(account, recorded, end + timedelta(days=4)) == 0, "it began with grids that are not known now"

    Grid.objects.update(edited_at=None)
    model_pauses_everything(account, begin)
    assert drift.compare(account, recorded, end + timedelta(days=4)) == 1
    advised = PaperComparison.objects.get()
    assert advised.paper_round_trips == found.paper_round_trips
    assert advised.backtest_round_trips == 0, "the backtest hears what a model asked of the desk"


def model_pauses_everything(account: Account, at: datetime) -> None:
    """Write into the trail what a desk writes that heeds a model from then on."""
    at_ns = int(at.timestamp() * 1e9)
    symbols = Grid.objects.filter(account=account).values_list("symbol", flat=True)
    asked = [GridAdvice(symbol, "ab", at_ns, at_ns, pause_buys=True) for symbol in symbols]
    payload = {"advice": [as_kept(PersistAdvice(one.symbol, one, at_ns)) for one in asked]}
    with transaction.atomic():
        audit.record(
            actor=f"runtime:{account.slug}", action=ADVICE_CHANGED, subject=f"account:{account.slug}",
            payload=payload, at=at,
        )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "speed"), [((1, 1), 1.0), ((10, 10), 10.0), ((10, 2), 6.0)])
def test_a_recorded_replay_is_folded_at_the_speed_it_was_played_at(
    minutes: Sequence[int], speed: float, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = list(islice(replay.events(recording), 200))
    begin = datetime.fromtimestamp(events[0].received_at_ns / 1e9, UTC) - MINUTE
    load_demo(at=begin)
    account = Account.objects.get(slug="production")
    day = TradingDay.objects.create(
        account=account, lap=1, reason="start", opened_at=begin, opening_equity_quote=WORTH, opening_cash_quote=WORTH
    )
    for number, played_at in enumerate(minutes):
        facts = minute(speed=played_at).to_json()
        ConductSample.objects.create(account=account, at=begin + number * MINUTE, facts=facts)
    said: list[float] = []
    real = backtest.run
    monkeypatch.setattr(backtest, "run", lambda *a, **k: said.append(k["speed"]) or real(*a, **k))  # type: ignore[func-returns-value]  # None, so that it goes on

    drift._folded(account, drift.Stretch(day, begin + 10 * MINUTE, WORTH, is_over=True), lambda *_: events)

    assert said == [speed]


@pytest.mark.django_db
def test_a_replay_ten_times_as_fast_is_no_wilder_market(recording: Recording) -> None:
    """The same tops in a tenth of the time ask for the same step, where it is known how fast they were played."""
    load_demo(at=datetime.now(UTC))
    tops = list(replay.events(parity.deep_tops(recording, TOPS)))
    quick = [one._replace(received_at_ns=one.received_at_ns // 10, venue_at_ns=0) for one in tops]
    desk = parity.desk_on("production", recording.symbols)

    def floor(events: Sequence[MarketEvent], speed: float) -> float:
        done = backtest.run(
            events, settings=desk.settings, limits=desk.limits, instruments=desk.instruments, speed=speed
        )
        return max(symbol.floor_fraction or 0.0 for symbol in done.view.symbols)

    real = floor(tops, 1.0)
    assert floor(quick, 10.0) == pytest.approx(real, rel=0.05)  # sampled at other seconds
    assert floor(quick, 1.0) == 0.0  # no forecast yet: so few seconds are no market


@pytest.mark.django_db
def test_a_free_run_is_told_apart_by_its_latency_and_by_nothing_else(recording: Recording) -> None:
    """What a loop without latency would have done is the core's; twenty seconds each way make other deals."""
    load_demo(at=datetime.now(UTC))
    events = list(replay.events(parity.deep_tops(recording, TOPS)))
    paper = free_run._core(parity.desk_on(free_run.SLUG, recording.symbols), events, 1.0)
    ran = free_run.Free(paper, events, (20 * 10**9, 20 * 10**9), len(events), 0, 1, 60.0)

    told = free_run._told(ran, 1.0)

    for name in ("core_without_latency", "kernel_without_latency"):
        assert (told[name]["drift"], told[name]["drift_pnl"], told[name]["other_deals"]) == (0, 0, [])
    late = told["kernel_with_latency"]
    assert told["drift"] == late["drift"] > 0
    assert sum(late["apart"].values()) - late["apart"]["another time"] == len(late["other_deals"]) > 0
    assert told["orders"] > 10


@pytest.mark.django_db
def test_a_latency_that_was_not_measured_leaves_the_drift_unknown(recording: Recording) -> None:
    load_demo(at=datetime.now(UTC))
    events = list(replay.events(parity.deep_tops(recording, slice(2_000))))

    told = free_run._told(free_run.Free([], events, None, len(events), 0, 1, 60.0), 1.0)

    assert (told["drift"], told["kernel_with_latency"], told["orders"]) == (None, None, 0)
    assert not free_run.BOUNDS["drift"].is_met(told["drift"])


def worth_of_its_fills(account: Account, events: Sequence[MarketEvent]) -> Decimal:
    """Return the equity that the stored fills come to at the newest best bids."""
    bids = {one.symbol: one.bid_ticks for one in events if isinstance(one, BookTop)}
    listed = listing.load().instruments
    worth = Decimal(25_000)
    for fill in Fill.objects.filter(account=account):
        sign = 1 if fill.side == "BUY" else -1
        price = listed[fill.symbol].price(bids[fill.symbol])
        worth += sign * fill.quantity * (price - fill.price) - fill.fee
    return worth


def test_one_digit_is_a_difference() -> None:
    one = parity.Trail([("a", "1")], [("f", "0.00000001")], 5)
    other = parity.Trail([("a", "1")], [("f", "0.00000002")], 5)

    assert parity.differences(one, one) == []
    assert parity.differences(one, other) == [
        "fill 0: ('f', '0.00000001') on paper, ('f', '0.00000002') in the backtest"
    ]


@pytest.mark.usefixtures("no_session_left")
def test_the_proof_has_teeth(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that books one lot less for a maker must show up."""
    load_demo(at=datetime.now(UTC))
    honest = parity.backtest_trail("production", recording, EVENTS)
    record = SimulatedVenue._record
    monkeypatch.setattr(
        SimulatedVenue,
        "_record",
        lambda self, book, booked, price, lots, fee, at_ns, maker: record(
            self, book, booked, price, lots, fee + type(fee)("0.00000001"), at_ns, maker=maker
        ),
    )

    assert parity.differences(honest, parity.backtest_trail("production", recording, EVENTS))
