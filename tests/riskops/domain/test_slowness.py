"""Guessing waits ever longer, never for ever, and never because of somebody else."""

from datetime import UTC, datetime, timedelta

import pytest

from riskops.domain.slowness import (
    FORGOTTEN_AFTER,
    RULES,
    Door,
    Tries,
    doors,
    is_worth_a_warning,
    is_worth_an_event,
    wait,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (2, 0), (3, 1), (4, 2), (5, 4), (7, 16), (8, 30), (9, 30), (10_000, 30)]
)
def test_the_wait_doubles_up_to_its_bound(failures: int, seconds: int) -> None:
    assert wait(Door.DEVICE, Tries(failures, NOW), NOW) == seconds * SECOND


@pytest.mark.parametrize("door", Door)
def test_no_door_is_ever_locked(door: Door) -> None:
    longest = RULES[door].longest

    assert wait(door, Tries(10**9, NOW), NOW) == longest
    assert wait(door, Tries(10**9, NOW), NOW + longest) == timedelta(0)


def test_a_wait_runs_off_and_an_hour_without_a_try_is_forgotten() -> None:
    tries = Tries(5, NOW)

    assert wait(Door.PLACE, tries, NOW + SECOND) == 3 * SECOND
    assert wait(Door.PLACE, tries, NOW + 4 * SECOND) == timedelta(0)
    assert tries.at(NOW + FORGOTTEN_AFTER - SECOND) == Tries(5, NOW)
    assert tries.at(NOW + FORGOTTEN_AFTER) == Tries(0, NOW)


@pytest.mark.parametrize(
    ("device", "place", "expected"),
    [
        (True, True, (Door.DEVICE,)),
        (True, False, (Door.DEVICE,)),
        (False, True, (Door.PLACE,)),
        (False, False, (Door.ACCOUNT, Door.ADDRESS)),
    ],
)
def test_who_is_known_has_a_door_that_strangers_do_not_reach(
    device: bool, place: bool, expected: tuple[Door, ...]
) -> None:
    assert doors(known_device=device, known_place=place) == expected


def test_people_are_told_at_five_and_warned_at_every_doubling_of_twenty_five() -> None:
    assert [number for number in range(1_000) if is_worth_an_event(number)] == [5]
    assert [number for number in range(1_000) if is_worth_a_warning(number)] == [25, 50, 100, 200, 400, 800]
