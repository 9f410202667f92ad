"""The console with real servers behind it: what these tests send goes through the whole middleware stack."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest loads this file before Django is set up
    from pytest_django.plugin import DjangoDbBlocker

    from tests.fuzz.console.world import World


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: "DjangoDbBlocker") -> Iterator[None]:
    """One database for all requests of a file: emptying it after each test would take most of the time."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def world(transactional_db: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """One console with people and rows in it."""
    from django.conf import settings

    from tests.fuzz.console.world import World
    from tests.riskops.armed import make_ready
    from trading import lab_views
    from trading.live.door import valkey
    from trading.services import replay

    with pytest.MonkeyPatch.context() as patch:
        latch = tmp_path_factory.mktemp("latch") / "halt.latch"
        patch.setattr(settings, "HALT_LATCH_FILE", latch)
        valkey().flushdb()
        make_ready(patch)
        logging.disable(logging.CRITICAL)  # a line for every refusal
        made = World(latch)
        patch.setattr(lab_views, "WAIT_S", 0)  # no tasks worker here
        patch.setattr(replay, "_post", lambda url, body: made.steered.append((url, body)))
        try:
            with made.watching():
                yield made
        finally:
            logging.disable(logging.NOTSET)
