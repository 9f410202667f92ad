"""The words for a queue: what is taken, and what is refused with its reason."""

from decimal import Decimal

import pytest

from trading.domain.queues import CHOICES, Queue, QueueChoice, read_queue


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("risk-averse", QueueChoice(Queue.RISK_AVERSE)),
        ("log", QueueChoice(Queue.LOG)),
        ("power", QueueChoice(Queue.POWER, Decimal(2))),
        ("power:0.1", QueueChoice(Queue.POWER, Decimal("0.1"))),
        ("power:10", QueueChoice(Queue.POWER, Decimal(10))),
    ],
)
def test_a_queue_is_read_by_its_name_and_its_power(text: str, found: QueueChoice) -> None:
    assert read_queue(text) == found


@pytest.mark.parametrize("text", ["", "fifo", "LOG", "log:2", "risk-averse:", 2, None, ["log"], "\udcff"])
def test_a_queue_that_is_not_known_is_refused_with_those_that_are(text: object) -> None:
    with pytest.raises(ValueError, match="is not one of risk-averse, log, power, power:P; use one of them"):
        read_queue(text)


@pytest.mark.parametrize("power", ["", "0", "0.09", "10.1", "-2", "1e1", "nan", "\u0663"])
def test_a_power_that_is_no_number_in_its_range_is_refused(power: str) -> None:
    with pytest.raises(ValueError, match=r"is not from 0\.1 to 10; use e\.g\. 2"):
        read_queue(f"power:{power}")


def test_a_queue_is_written_as_it_is_read() -> None:
    assert all(read_queue(str(one)) == one for one in (*CHOICES, QueueChoice(Queue.POWER, Decimal("3.5"))))
