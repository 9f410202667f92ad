"""Steer the replay of the simulated exchange: how fast, and which recording."""

import json
import urllib.error
import urllib.request
from datetime import datetime
from functools import partial
from typing import Final

from django.conf import settings
from django.db import transaction

from trading import live
from trading.services import audit

SPEED_RANGE: Final = (1, 60)  # times real time
DATASETS: Final = ("ticks", "bars")
TIMEOUT_S: Final = 10.0  # reading another recording takes seconds on a busy machine


class UnableToSteer(Exception):
    """The replay plays on as it did; the message is fit for the operator."""


def set_speed(*, speed: int, by: str, at: datetime) -> None:
    """Play `speed` times as fast as it was recorded.

    Raises:
        UnableToSteer: outside 1..60, or the simulated exchange did not take it.
    """
    low, high = SPEED_RANGE
    if not low <= speed <= high:
        raise UnableToSteer(f"Speed {speed}: choose {low} to {high}.")
    _steer("speed", {"speed": speed}, by=by, at=at)


def set_dataset(*, dataset: str, by: str, at: datetime) -> None:
    """Play another recording from its start; a new lap begins.

    Raises:
        UnableToSteer: an unknown recording, or the simulated exchange did not take it.
    """
    if dataset not in DATASETS:
        raise UnableToSteer(f"Recording {dataset!r}: choose {' or '.join(DATASETS)}.")
    _steer("dataset", {"dataset": dataset}, by=by, at=at)


def _steer(what: str, order: dict[str, object], *, by: str, at: datetime) -> None:
    # Asked first: the audit chain is locked while a transaction writes to it, and the exchange may take seconds.
    _post(f"{settings.SIMULATOR_URL}/sim/{what}", order)
    with transaction.atomic():
        audit.record(actor=by, action=f"replay.{what}", subject="replay", payload=order, at=at)
        transaction.on_commit(partial(live.publish_events, "desk"))


def _post(url: str, body: dict[str, object]) -> None:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise UnableToSteer(f"The simulated exchange refused: {_reason(error)}") from error
    except OSError as error:
        raise UnableToSteer("The simulated exchange does not answer; the replay plays on as it did.") from error


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read(400).decode("utf-8", "replace").strip()
    return text or f"HTTP {error.code}"
