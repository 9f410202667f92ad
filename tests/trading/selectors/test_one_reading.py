"""What a gate reads at once is what its parts say, and reading it again changes nothing."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.trading.measured import HOUR, MINUTE, Measured
from trading.domain.evidence import METRICS
from trading.domain.measuring import Over
from trading.models import HourFacts
from trading.selectors import evidence
from trading.services import evidence as rolling

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = BEGIN + 80 * HOUR
EVERYTHING = [(metric, over.value) for metric in METRICS for over in Over]


@pytest.fixture
def desk() -> Measured:
    desk = Measured.desk()
    for number in range(80):
        begin = BEGIN + number * HOUR
        desk.watch(begin, 60, equities=(300 + number % 5,), speed=1 + number % 2)
        desk.sell(begin, "0.5")
    rolling.roll_up(BEGIN + 79 * HOUR + MINUTE)
    return desk


def test_one_reading_says_what_two_said(desk: Measured) -> None:
    since = BEGIN + 30 * MINUTE

    with CaptureQueriesContext(connection) as asked:
        found = evidence.evidence(desk.account, EVERYTHING, since, UNTIL)

    assert len(asked) == 8
    assert found.measured == evidence.measure_all(desk.account, EVERYTHING, since, UNTIL)
    hours = evidence.hours_in_force(desk.account, since, UNTIL)
    assert (found.hours_in_force, found.accelerated) == hours


def test_reading_again_gives_the_same_and_what_was_rolled_up_anew_is_seen(desk: Measured) -> None:
    first = evidence.slices(desk.account, BEGIN, UNTIL)
    again = evidence.slices(desk.account, BEGIN, UNTIL)
    hour = HourFacts.objects.earliest("hour")
    hour.facts[0]["facts"]["readings"] += 1
    hour.save()

    anew = evidence.slices(desk.account, BEGIN, UNTIL)

    assert again == first
    assert anew[0].facts.readings == first[0].facts.readings + 1
    assert anew[1:] == first[1:]
