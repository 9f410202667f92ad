"""Whether the process that holds something still lives."""

import os
import subprocess
import sys

import pytest

from trading.adapters import holders


def test_a_living_process_has_not_ended() -> None:
    assert not holders.has_ended(holders.own_name())


def test_a_process_with_the_same_number_that_started_later_is_another() -> None:
    machine, pid, started = holders.own_name().split("/")

    assert holders.has_ended(f"{machine}/{pid}/{int(started) - 1}")


def test_a_process_that_was_never_collected_has_ended() -> None:
    machine = holders.own_name().split("/")[0]
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert holders.has_ended(f"{machine}/{child.pid}/1")
    child.wait()
    assert holders.has_ended(f"{machine}/{child.pid}/1")


@pytest.mark.parametrize("name", ["", "/1/2", "elsewhere/999999999/2", "{machine}/x/2", "{machine}/1/", "{machine}"])
def test_of_what_is_not_known_nothing_has_ended(name: str) -> None:
    assert not holders.has_ended(name.format(machine=holders.own_name().split("/")[0]))


def test_a_number_no_process_can_have_is_not_known() -> None:
    assert not holders.has_ended(f"{holders.own_name().split('/')[0]}/{10**30}/2")
