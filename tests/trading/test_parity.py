"""The paper loop and the backtest do the same with the same recording, to the last digit.

The first 20,000 of the recording's 166,351 events run here; `./console bench parity` goes through all of them.
"""

from datetime import UTC, datetime

import pytest

from benchmarks import parity
from trading.domain.matching import SimulatedVenue
from trading.services.demo import load_demo
from trading.simulator import listing, replay
from trading.simulator.replay import Recording

EVENTS = 20_000
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
def test_no_event_overtakes_the_timers_of_a_quiet_market() -> None:
    """Bars come in bursts with twenty seconds of timers between them."""
    load_demo(at=datetime.now(UTC))
    bars = replay.read("bars", listing.load().instruments)

    paper = parity.paper_trail("production", bars, BAR_EVENTS)
    backtest = parity.backtest_trail("production", bars, BAR_EVENTS)

    assert parity.differences(paper, backtest) == []
    assert len(paper.orders) > 70


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
