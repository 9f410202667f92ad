"""Django's own list of what must not be forgotten before people reach a console from elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTED = {
    "GRIDCONSOLE_PROFILE": "distributed",
    "DATABASE_URL": "postgresql://user:password@db.example/console",
    "REDIS_URL": "rediss://:password@valkey.example:6379/0",
    "SECRET_KEY": "5fCz-2oGq8mWl0xTr7eKv4uYbNs1hDjPaQi9ZwMt3LcRXk6EVo",
    "GRIDCONSOLE_ORIGINS": "https://console.example.com",
}


def test_the_distributed_profile_passes_the_deployment_check(tmp_path: Path) -> None:
    known = {name: value for name, value in os.environ.items() if name != "BROKER_URL"}
    environment = {**known, **DISTRIBUTED, "GRIDCONSOLE_DATA_DIR": str(tmp_path)}

    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
