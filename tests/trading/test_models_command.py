"""`./console models`: every model in a line, one in full, and files that are not what was registered by name."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.trading import tiny_model
from tests.trading.models_at_hand import change, model
from trading.models import ModelVersion
from trading.services import model_registry

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path) -> Path:
    settings.ARTIFACTS_DIR = tmp_path
    return tmp_path


def said(*words: str) -> str:
    out = StringIO()
    call_command("models", *words, stdout=out)
    return out.getvalue()


def registered() -> ModelVersion:
    return model_registry.register(tiny_model.files(), by="engineer", at=NOW)


def test_without_a_model_it_says_how_to_make_one() -> None:
    assert "./console train --stage 0 --quick" in said()


def test_every_model_has_a_line_and_its_facts_as_json() -> None:
    model(1, "CHAMPION", evaluation={"skill_vs_har": 0.06, "interval": [0.04, 0.08]})
    model(2, "REFUSED", why="a pickle")

    text = said("list", "--json")

    assert "lstm, stage 0, 8,770 parameters, skill +6.0 % (+4.0 to +8.0 %), champion" in text
    assert "not evaluated, refused: a pickle" in text
    told = json.loads(text.splitlines()[-1])["models"]
    assert [one["state"] for one in told] == ["REFUSED", "CHAMPION"]
    assert (told[1]["skill_vs_har"], told[1]["interval"]) == (0.06, [0.04, 0.08])


def test_one_is_shown_by_its_first_digits_with_gate_and_changes() -> None:
    made = model(1, evaluation={"evidence": {"folds": 7}})
    change(made, "REGISTERED", "SHADOW", "signed")

    text = said("show", made.digest[:6], "--json")

    assert "✗ folds: 7, needed >= 8" in text
    assert "REGISTERED -> SHADOW by cto: signed" in text
    assert json.loads(text.splitlines()[-1])["card"]["parameters"] == 8_770


@pytest.mark.parametrize("digest", ["", "abc", "zzzzzz", "0" * 64, "0" * 65])
def test_what_names_no_model_is_refused_in_words(digest: str) -> None:
    with pytest.raises(CommandError, match="names no model; give the first 6 digits"):
        said("show", digest)


def test_whole_files_are_verified_and_a_changed_one_is_named(store: Path) -> None:
    made = registered()
    model(2, "REFUSED", why="a pickle")
    assert f"✓ {made.digest[:12]}" in said("verify")

    card = store / "models" / made.digest / "card.json"
    card.chmod(0o644)
    card.write_bytes(card.read_bytes().replace(b'"stage":', b'"stagE":'))
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2 models are not what was registered"):
        call_command("models", "verify", "--json", stdout=out)

    text = out.getvalue()
    assert f"✗ {made.digest[:12]} line: card.json: hash mismatch" in text
    assert "refused before, a pickle" in text
    told = json.loads(text.splitlines()[-1])
    assert (told["models"], told["refused"], [one["digest"] for one in told["broken"]]) == (2, 1, [made.digest])
    made.refresh_from_db()
    assert made.state == "REGISTERED"


def test_a_broken_one_is_refused_for_good_only_where_that_is_asked(store: Path) -> None:
    made = registered()
    (store / "models" / made.digest / "weights.safetensors").unlink()

    with pytest.raises(CommandError, match="nothing uses them any more"):
        said("verify", "--refuse")

    made.refresh_from_db()
    assert made.state == "REFUSED"
    assert "weights.safetensors" in made.why
