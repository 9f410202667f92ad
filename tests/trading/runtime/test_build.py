"""Every process knows which code and configuration it runs, and what others say of theirs."""

import json
import time
from pathlib import Path
from typing import cast

import pytest
from pytest_django import Settings
from redis import Redis

from trading.live import builds
from trading.runtime.build import digest

NOW_MS = 1_795_176_000_000


@pytest.fixture
def tree(settings: Settings, tmp_path: Path) -> Path:
    """A product of one file."""
    settings.BASE_DIR = tmp_path
    source = tmp_path / "trading" / "rule.py"
    source.parent.mkdir()
    source.write_text("LIMIT = 2\n")
    return source


def test_the_same_code_and_settings_are_the_same_build(tree: Path) -> None:
    assert digest.__wrapped__() == digest.__wrapped__()


def test_other_code_is_another_build_of_the_same_configuration(tree: Path) -> None:
    before = digest.__wrapped__().split("-")
    tree.write_text("LIMIT = 20\n")
    after = digest.__wrapped__().split("-")

    assert before[0] != after[0]
    assert before[1] == after[1]


def test_another_venue_is_another_configuration_of_the_same_code(tree: Path, settings: Settings) -> None:
    before = digest.__wrapped__().split("-")
    settings.SIMULATOR_URL = "http://elsewhere"
    after = digest.__wrapped__().split("-")

    assert before[0] == after[0]
    assert before[1] != after[1]


def test_only_those_that_spoke_lately_are_compared_and_what_is_no_word_counts_as_different() -> None:
    entries = {
        b"web@a:1": f"1-1 {NOW_MS - 5_000}".encode(),
        b"web@a:2": f"2-1 {NOW_MS - 5_001}".encode(),
        b"loops@a:3": b"nonsense",
        b"tasks@a:4": f"1-1 {NOW_MS - 60_001}".encode(),
    }

    assert builds.fresh(entries, NOW_MS) == {"web@a:1": "1-1", "loops@a:3": "nonsense"}
    assert builds.forgotten(entries, NOW_MS) == [b"tasks@a:4"]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (json.dumps({"at_ms": NOW_MS - 10_000, "build": "1-1"}), {"watchdog": "1-1"}),
        (json.dumps({"at_ms": NOW_MS - 10_001, "build": "1-1"}), {}),
        (json.dumps({"at_ms": NOW_MS}), {}),
        ("[]", {}),
        ("", {}),
    ],
)
def test_the_watchdog_says_its_build_in_its_file(tmp_path: Path, said: str, read: dict[str, str]) -> None:
    (tmp_path / "watchdog.json").write_text(said)

    assert builds.read_build(tmp_path / "watchdog.json", NOW_MS) == read


def test_a_process_says_its_build_for_as_long_as_it_lives(settings: Settings) -> None:
    client = Redis.from_url(settings.REDIS_URL)
    client.delete(builds.BUILDS)

    builds.announce_for_ever(client, "web", "1-1")

    said: dict[bytes, bytes] = {}
    for _ in range(100):
        if said := cast(dict[bytes, bytes], client.hgetall(builds.BUILDS)):
            break
        time.sleep(0.02)
    assert list(builds.fresh(said, time.time_ns() // 1_000_000).values()) == ["1-1"]
