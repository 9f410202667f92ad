"""`./console evaluate`: a table, one JSON object, and one line for what cannot be used."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from trading.management.commands import evaluate
from trading.ml.stages.light import LIGHT
from trading.models import AuditEvent, ModelVersion

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEAST = ("--symbols", "BTCUSDT", "--light", "--seeds", "1")
QUARTER_NS = 900_000_000_000


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Return a folder with 22 months of quarters of an hour of one symbol, calm and wild weeks in turn."""
    rng, count = np.random.default_rng(1), 670 * 96
    wild = 1 + (np.arange(count) // 700) % 3
    close = np.exp(np.cumsum(rng.standard_normal(count) * wild / 1_000))
    open_ = np.concatenate(([1.0], close[:-1]))
    high, low = np.maximum(open_, close) * 1.0005, np.minimum(open_, close) * 0.9995
    at = 1_600_000_200_000_000_000 // QUARTER_NS * QUARTER_NS + np.arange(count) * QUARTER_NS
    table = pa.table({"open_ts": at, "o": open_, "h": high, "l": low, "c": close, "v": wild * rng.random(count)})
    pq.write_table(table, tmp_path / "BTCUSDT.parquet")
    return tmp_path


def said(*options: str) -> list[str]:
    out = StringIO()
    call_command("evaluate", *options, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


def found(*options: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(said(*options, "--json")[-1])
    return report


def test_the_choices_are_the_nets_there_are() -> None:
    assert tuple(LIGHT) == evaluate.LIGHT


def test_json_stands_alone_with_baselines_folds_and_what_was_locked() -> None:
    lines = said(*LEAST, "--json")

    report = json.loads(lines[0])
    assert len(lines) == 1
    assert [each["name"] for each in report["baselines"]] == ["random", "last_hour", "ewma", "har", "ridge"]
    assert (report["stages"], report["quick"], report["locked_year"]) == ([], True, None)
    assert [each["fold"] for each in report["folds"]] == [0, 1]
    assert report["learning_curves"]["ridge"]["shares"] == [0.125, 0.25, 0.5, 1.0]


def test_the_table_tells_of_every_contender_and_of_what_was_left_out() -> None:
    text = "\n".join(said(*LEAST))

    for word in ("skill vs HAR", "95 % interval", "random", "ewma", "ridge", "too short to lock a year"):
        assert word in text
    assert "fold 2 without BTCUSDT" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--data", "nowhere"), "data: 'nowhere' is no folder"),
        (("--symbols", "btc"), "symbols: 'btc' is no symbol"),
        (("--epochs", "0"), "--epochs must be at least 1"),
        (("--seeds", "0"), "--seeds must be from 1 to 20"),
        (("--seeds", "21"), "--seeds must be from 1 to 20"),
        (("--indicators", "--open-holdout", "f"), "--indicators: the locked year is for skill alone"),
        (("--open-holdout", "f"), "data: shorter than 18 months"),
    ],
)
def test_what_cannot_be_used_is_named(options: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        said(*LEAST, *options)


@pytest.mark.django_db
def test_the_locked_year_is_opened_once_and_stays_open_in_the_trail(long: Path) -> None:
    asked = ("--data", str(long), "--light", "--seeds", "1")
    before = found(*asked)

    opened = found(*asked, "--open-holdout", "volatility-1")

    assert before["opened"] is None
    assert before["folds"][-1]["test"][1] <= before["locked_year"][0] <= opened["folds"][0]["test"][0]
    assert opened["opened"]["family"] == "volatility-1"
    assert AuditEvent.objects.get(action="model.holdout_opened").payload["model"] == "baselines"
    with pytest.raises(CommandError, match="volatility-1: the locked year was opened on"):
        said(*asked, "--open-holdout", "volatility-1")


@pytest.mark.django_db
def test_a_registered_model_is_judged_and_keeps_its_evaluation() -> None:
    card = {"stage": 0, "name": "dlinear", "quick": True, "hyper": {"epochs": 1, "held_out": 0.0, "seed": 3}}
    model = ModelVersion.objects.create(
        digest="ab" * 32, name="dlinear", card=card, stage=0, registered_by="cto", registered_at=NOW, state_since=NOW
    )

    report = found(*LEAST, "--registered", "--folds", "1", "--thin", "9")

    model.refresh_from_db()
    assert [each["name"] for each in report["stages"]] == ["dlinear:abababab"]
    assert model.evaluation is not None
    assert model.evaluation["exported"] is True
    assert model.evaluation["evidence"]["quick"] is True
    assert not model.evaluation["offline_pass"]
    assert len(model.evaluation["folds"]) == 1
