"""Logs carry the ids that join them, and never a secret."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from django.conf import settings

from gridconsole import logs


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    logs.configure(logs.logging_config(log_dir=tmp_path / "log", process="web", level="INFO"))
    yield tmp_path / "log" / "web.jsonl"
    logs.configure(settings.LOGGING)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_carries_the_request_and_the_order(log_file: Path) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", order_id="gc-7"):
        structlog.get_logger("trading").info("order submitted", price_ticks=5)
        logging.getLogger("ccxt").warning("throttled")

    first, second = lines(log_file)
    assert (first["event"], first["request_id"], first["order_id"], first["price_ticks"]) == (
        "order submitted", "r1", "gc-7", 5,
    )  # fmt: skip
    assert (second["event"], second["order_id"], second["logger"]) == ("throttled", "gc-7", "ccxt")


@pytest.mark.parametrize("name", ["password", "apiKey", "api_key", "listen_token", "Authorization", "secret"])
def test_a_secret_is_masked_by_its_name(log_file: Path, name: str) -> None:
    structlog.get_logger("trading").info("connected", **{name: "hunter2"})

    assert lines(log_file)[0][name] == "***"
    assert "hunter2" not in log_file.read_text()


def test_an_error_keeps_its_traceback_in_one_line(log_file: Path) -> None:
    try:
        raise ValueError("bad tick")
    except ValueError:
        structlog.get_logger("trading").exception("loop ended")

    (line,) = lines(log_file)
    assert "bad tick" in json.dumps(line["exception"])


def test_a_traceback_never_shows_what_the_local_variables_hold(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sign(key: str) -> None:
        raise ValueError(f"cannot sign {len(key)} characters")

    try:
        sign("hunter2")
    except ValueError:
        structlog.get_logger("trading").exception("loop ended")

    said = log_file.read_text() + capsys.readouterr().err
    assert "cannot sign 7 characters" in said
    assert "hunter2" not in said.replace('sign("hunter2")', "")


def test_a_command_writes_no_file(tmp_path: Path) -> None:
    assert "file" not in logs.logging_config(log_dir=tmp_path, process="", level="INFO")["handlers"]
