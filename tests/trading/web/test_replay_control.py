"""Speed and recording of the replay, from the page to the simulated exchange."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.test import Client
from pytest_django import Settings

from trading import live
from trading.models import AuditEvent

pytestmark = pytest.mark.django_db


class ControlPlane(BaseHTTPRequestHandler):
    """Notes what it was asked; refuses the recording "bars"."""

    asked: list[tuple[str, object]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, body))
        self.send_response(409 if body.get("dataset") == "bars" else 200)
        self.end_headers()
        self.wfile.write(b"the file is missing")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def asked(settings: Settings) -> Iterator[list[tuple[str, object]]]:
    ControlPlane.asked = []
    server = HTTPServer(("127.0.0.1", 0), ControlPlane)
    Thread(target=server.serve_forever, daemon=True).start()
    settings.SIMULATOR_URL = f"http://127.0.0.1:{server.server_port}"
    yield ControlPlane.asked
    server.shutdown()
    server.server_close()


def test_the_speed_is_asked_for_and_audited(signed_in: Client, asked: list[tuple[str, object]]) -> None:
    response = signed_in.post("/replay/", {"speed": "20"}, follow=True)

    assert asked == [("/sim/speed", {"speed": 20})]
    assert "The replay runs at \u00d720." in response.content.decode()
    event = AuditEvent.objects.get(action="replay.speed")
    assert (event.actor, event.payload["speed"]) == ("trader", 20)
    assert event.payload["_by"]["roles"] == ["Trader"]


def test_the_recording_is_asked_for_by_name(signed_in: Client, asked: list[tuple[str, object]]) -> None:
    signed_in.post("/replay/", {"dataset": "ticks"})

    assert asked == [("/sim/dataset", {"dataset": "ticks"})]


@pytest.mark.parametrize("form", [{"speed": "0"}, {"speed": "61"}, {"speed": "x"}, {}, {"dataset": "films"}])
def test_what_is_not_offered_is_refused_before_the_exchange_hears_of_it(
    signed_in: Client, asked: list[tuple[str, object]], form: dict[str, str]
) -> None:
    response = signed_in.post("/replay/", form, follow=True)

    assert "hoose" in response.content.decode()
    assert asked == []
    assert not AuditEvent.objects.filter(action__startswith="replay.").exists()


def test_a_refusal_of_the_exchange_is_passed_on(signed_in: Client, asked: list[tuple[str, object]]) -> None:
    response = signed_in.post("/replay/", {"dataset": "bars"}, follow=True)

    assert "refused: the file is missing" in response.content.decode()
    assert not AuditEvent.objects.filter(action="replay.dataset").exists()


def test_an_exchange_that_does_not_answer_is_said(signed_in: Client, settings: Settings) -> None:
    settings.SIMULATOR_URL = "http://127.0.0.1:9"
    live.publish_values({"replay.lap": 1})

    part = signed_in.post("/replay/", {"speed": "5"}, headers={"HX-Request": "true"})

    assert "does not answer; the replay plays on as it did" in part.content.decode()
