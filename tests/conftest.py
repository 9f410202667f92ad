"""Real servers for the tests: PostgreSQL and Valkey from the wheels, in a folder of this run alone."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridconsole import compiled

compiled.choose_folder()
# Before Django reads its settings: nothing of a running console, and no file in the checkout, is touched.
DATA_DIR = Path(tempfile.mkdtemp(prefix="gc-test-"))
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
os.environ.update(
    GRIDCONSOLE_PROFILE="embedded",
    GRIDCONSOLE_DATA_DIR=str(DATA_DIR),
    DJANGO_SETTINGS_MODULE="gridconsole.settings",
)
WITHOUT_SERVERS = (
    Path("tests/architecture"),
    Path("tests/crash"),
    Path("tests/fuzz"),
    Path("tests/load"),
    Path("tests/trading/domain"),
    Path("tests/trading/ml"),
    Path("tests/riskops/domain"),
)
WITH_SERVERS = Path("tests/fuzz/console")  # in one of those rooms


@pytest.fixture(scope="session", autouse=True)
def servers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run both servers while the tests run, unless DATABASE_URL or REDIS_URL name others or no test needs one."""
    from gridconsole import embedded, profile

    found = profile.read()
    root = request.config.rootpath
    pure = all(
        any(item.path.is_relative_to(root / room) for room in WITHOUT_SERVERS)
        and not item.path.is_relative_to(root / WITH_SERVERS)
        for item in request.session.items
    )
    if pure or not (found.own_postgres or found.own_valkey):
        yield
    else:
        running = embedded.Servers(DATA_DIR, durable=False)
        running.start()
        yield
        running.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: None) -> None:
    """Order the server's start before pytest-django makes its test database."""


def pytest_configure() -> None:
    """Read the settings now that the environment is complete; pytest-django sets Django up after this."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # tests make many people
