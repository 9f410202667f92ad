"""`./console backtest`: a readable table or one JSON object, and one line for what cannot be used."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def output(*arguments: str) -> str:
    out = StringIO()
    call_command("backtest", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, object]]:
    return {desk: json.loads(output("--desk", desk, "--json").splitlines()[-1]) for desk in ("micro", "production")}


@pytest.mark.parametrize("desk", ["micro", "production"])
def test_both_desks_fill_early_in_the_shipped_recording(desk: str, results: dict[str, dict[str, object]]) -> None:
    done = results[desk]

    first = done["first_fill_after_s"]
    assert isinstance(first, float)
    assert first < 80
    assert done["events"] == 166_351
    assert (done["halts"], done["discrepancies"]) == ([], [])


def test_the_micro_desk_keeps_its_daily_trades(results: dict[str, dict[str, object]]) -> None:
    orders = results["micro"]["orders"]

    assert isinstance(orders, int)
    assert orders <= 20


def test_a_table_names_its_assumptions_and_the_digest(results: dict[str, dict[str, object]]) -> None:
    text = output("--desk", "micro")

    assert "Micro $300" in text
    assert str(results["micro"]["fills_sha256"]) in text
    assert "Assumptions:" in text


def test_a_recording_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.parquet: cannot be read"):
        output("--data", str(tmp_path / "none.parquet"))


def test_an_unreadable_recording_is_said_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_text("no parquet")

    with pytest.raises(CommandError, match=r"broken\.parquet: cannot be read"):
        output("--data", str(broken))


def test_a_desk_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        output("--desk", "giant")
