"""Which venue a console trades at: one, and never the simulated exchange in real money's place but to rehearse."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from gridconsole import profile
from trading.domain.modes import Mode
from trading.live.installation import modes_here, why_not_here

ROOT = Path(__file__).resolve().parents[2]
SHOW = "from django.conf import settings as s; print(s.VENUE, s.VENUE_URL, s.SIMULATOR_STANDS_IN)"


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    """Let a process read its settings."""
    command = f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'gridconsole.settings'; {SHOW}"
    return subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env={**os.environ, **environment}, text=True, capture_output=True,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GRIDCONSOLE_VENUE": "testnet"}, "testnet https://testnet.binance.vision False"),
        ({"GRIDCONSOLE_VENUE": "live"}, "live https://api.binance.com False"),
        ({"GRIDCONSOLE_SIMULATOR_STANDS_IN": "true", "GRIDCONSOLE_SIMULATOR_PORT": "9999"},
         "simulator http://127.0.0.1:9999/instance/{instance} True"),
    ],
)  # fmt: skip
def test_a_console_has_one_venue(environment: dict[str, str], said: str) -> None:
    instance = profile.read(of_running=False).instance

    assert started(**environment).stdout.strip() == said.format(instance=instance)


@pytest.mark.parametrize(
    "environment",
    [
        {"GRIDCONSOLE_VENUE": "LIVE!"},
        {"GRIDCONSOLE_VENUE": "live", "GRIDCONSOLE_SIMULATOR_STANDS_IN": "true"},
        {"GRIDCONSOLE_VENUE": "testnet", "GRIDCONSOLE_SIMULATOR_STANDS_IN": "true"},
        {
            "GRIDCONSOLE_PROFILE": "distributed", "GRIDCONSOLE_SIMULATOR_STANDS_IN": "true", "SECRET_KEY": "k" * 40,
            "DATABASE_URL": "postgresql://u@db/n", "REDIS_URL": "redis://valkey",
        },
    ],
)  # fmt: skip
def test_the_simulated_exchange_stands_in_for_no_venue_in_earnest(environment: dict[str, str]) -> None:
    refused = started(**environment)

    assert refused.returncode != 0
    assert "InvalidEnvironment: GRIDCONSOLE_" in refused.stderr


@pytest.mark.parametrize(
    ("venue", "stands_in", "modes"),
    [
        ("simulator", False, [Mode.PAPER]),
        ("simulator", True, [Mode.PAPER, Mode.TESTNET, Mode.LIVE]),
        ("testnet", False, [Mode.TESTNET]),
        ("live", False, [Mode.LIVE]),
    ],
)
def test_accounts_trade_only_where_their_money_is(
    settings: Settings, venue: str, stands_in: bool, modes: list[Mode]
) -> None:
    settings.VENUE, settings.SIMULATOR_STANDS_IN = venue, stands_in

    assert modes_here() == modes
    assert all(why_not_here(mode) for mode in Mode if mode not in modes)
