"""Health for machines."""

import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

from gridconsole import health
from trading.live.keys import HEARTBEAT, METRICS

LOOPS = ("market_data", "model", "execution", "risk")


@pytest.fixture
def heartbeats() -> Iterator[dict[str, int]]:
    """Milliseconds since each loop's heartbeat; all beat just now."""
    ages = dict.fromkeys(LOOPS, 0)
    yield ages
    health.valkey().delete(*(key.format(loop=loop) for loop in LOOPS for key in (HEARTBEAT, METRICS)))


def beat(ages: dict[str, int]) -> None:
    now_ms = time.time_ns() // 1_000_000
    for loop, age_ms in ages.items():
        health.valkey().set(HEARTBEAT.format(loop=loop), now_ms - age_ms)


def test_a_living_process_says_so(client: Client) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.parametrize("address", ["healthz", "readyz"])
def test_who_means_another_console_gets_no_answer_for_this_one(client: Client, address: str) -> None:
    response = client.get(f"/{address}/another")

    assert (response.status_code, response.content) == (421, b"another console listens here\n")


@pytest.mark.django_db
def test_who_means_this_console_gets_the_same_answers(client: Client, heartbeats: dict[str, int]) -> None:
    beat(heartbeats)

    assert client.get(f"/healthz/{settings.INSTANCE}").content == b"ok\n"
    assert client.get(f"/readyz/{settings.INSTANCE}").json()["ready"] is True
    since = {"since": time.time_ns() // 1_000_000 + 60_000}
    assert client.get(f"/readyz/{settings.INSTANCE}", since).status_code == 503


@pytest.mark.django_db
def test_a_console_is_ready_when_everything_answers(client: Client, heartbeats: dict[str, int]) -> None:
    beat(heartbeats)

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "database": "ok", "valkey": "ok", **dict.fromkeys(LOOPS, "ok")}


@pytest.mark.django_db
def test_a_silent_loop_makes_the_console_not_ready_and_is_named(client: Client, heartbeats: dict[str, int]) -> None:
    beat({**heartbeats, "execution": 6_000})

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["execution"].startswith("last heartbeat 6")
    assert response.json()["risk"] == "ok"


@pytest.mark.django_db
def test_a_loop_that_never_beat_makes_the_console_not_ready(client: Client) -> None:
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["model"] == "no heartbeat"


@pytest.mark.django_db
def test_a_fresh_heartbeat_of_loops_that_were_restarted_since_does_not_count(
    client: Client, heartbeats: dict[str, int]
) -> None:
    beat({**heartbeats, "risk": 1_000})

    response = client.get("/readyz", {"since": time.time_ns() // 1_000_000 - 500})

    assert response.status_code == 503
    assert response.json()["risk"] == "no heartbeat yet"


@pytest.mark.parametrize(("written", "shown"), [(b"41", "ok"), (b"soon", "unreadable heartbeat")])
def test_a_heartbeat_that_is_no_number_is_not_trusted(written: bytes, shown: str) -> None:
    assert health.beat_finding(written, now_ms=42) == shown


def test_the_numbers_of_the_loops_are_shown_to_prometheus(client: Client, heartbeats: dict[str, int]) -> None:
    desks = {"open_orders:micro": 3, "open_orders:production": 12, "broken": "n/a"}
    health.valkey().hset(METRICS.format(loop="execution"), mapping=desks)
    health.valkey().hset(METRICS.format(loop="market_data"), "feed_age_ms", "7.5")

    text = client.get("/metrics").content.decode()

    assert 'gridconsole_open_orders{account="micro"} 3.0' in text
    assert 'gridconsole_open_orders{account="production"} 12.0' in text
    assert "gridconsole_feed_age_ms 7.5" in text
    assert "gridconsole_valkey_up 1.0" in text
    assert "broken" not in text


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
def test_health_is_read_only(client: Client, address: str) -> None:
    assert client.post(address).status_code == 405


@pytest.mark.django_db
def test_a_time_of_five_thousand_digits_is_no_time(client: Client, heartbeats: dict[str, int]) -> None:
    beat(heartbeats)

    assert client.get("/readyz", {"since": "9" * 5_000}).status_code == 200
