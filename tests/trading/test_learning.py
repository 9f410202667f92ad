"""A training put together: bars in, the sealed files of a model out, or a refusal that names the field."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from django.core.management import CommandError, call_command

from tests.trading.domain.shipped_bars import shipped
from trading import learning
from trading.domain.bars import Ints
from trading.domain.model_card import read_card
from trading.domain.model_package import digest_of, verify
from trading.domain.training_settings import TrainingSettings, UnusableTraining
from trading.learning import chosen, plan_of, train
from trading.ml.export import Origin, card_of, weights_of
from trading.ml.learnable import Fitted, Learnable
from trading.ml.training import UnableToTrain

ASKED = TrainingSettings(0, symbols=("BTCUSDT",), stride=9)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def unexported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the slow half of an export; `tests/trading/ml/test_export.py` looks at it."""

    def export(fitted: Fitted, data: Learnable, rows: Ints, origin: Origin) -> dict[str, bytes]:
        card = json.dumps(card_of(fitted, data, rows, origin, 0.0).as_json()).encode()
        return {"card.json": card, "model.onnx": b"net", "weights.safetensors": weights_of(fitted.net)}

    monkeypatch.setattr(learning, "export", export)


def silent(fraction: float, doing: str) -> None:
    assert 0 <= fraction <= 1, doing


@pytest.mark.usefixtures("unexported")
def test_a_quick_training_ends_in_a_model_that_was_held_against_the_baselines(tmp_path: Path) -> None:
    told: list[float] = []

    trained = train(ASKED, lambda fraction, _: told.append(fraction), tmp_path)

    verify(trained.files)
    card, judged = read_card(trained.files["card.json"]), json.loads(trained.files["evaluation.json"])
    assert (card.name, card.symbols, card.data, card.quick) == ("lstm", ("BTCUSDT",), "shipped", True)
    assert {each["name"] for each in judged["baselines"]} >= {"har", "ridge", "ewma"}
    assert judged["standing"]["name"] == "lstm"
    assert judged["folds"]
    assert [point["epoch"] for point in trained.curves["epochs"]] == [0, 1, 2]
    assert trained.curves["peak_bytes"] > 1e8
    assert told == sorted(told)
    assert trained.trials == 1


@pytest.mark.usefixtures("unexported")
def test_a_child_names_its_parent_and_begins_with_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_held_against", lambda *_: b"{}")
    parent = train(ASKED, silent, tmp_path).files
    monkeypatch.setattr(learning, "_parent", {digest_of(parent): parent}.__getitem__)

    child = train(replace(ASKED, parent=digest_of(parent), seed=3), silent, tmp_path / "child")

    card = read_card(child.files["card.json"])
    assert card.parent == digest_of(parent)
    assert card.mean == read_card(parent["card.json"]).mean


def klines(folder: Path, bars: int) -> Path:
    whole = shipped("BTCUSDT")
    columns = {name: getattr(whole, name)[:bars] for name in ("open", "high", "low", "close", "volume")}
    table = pa.table(
        {"open_ts": whole.at_ns[:bars] - whole.bar_ns, **dict(zip("ohlcv", columns.values(), strict=True))}
    )
    folder.mkdir()
    pq.write_table(table, folder / "BTCUSDT.parquet")
    return folder


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"symbols": ("NOSUCH",)}, "symbols"),
        ({"data": "/no/such/folder"}, "data"),
        ({"size": "huge"}, "size"),
        ({"parent": "0" * 64}, "parent"),
    ],
    ids=["symbol", "folder", "size", "parent"],
)
def test_what_cannot_be_trained_is_named(changes: Mapping[str, Any], field: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableTraining, match=f"^{field}: "):
        train(replace(ASKED, **changes), silent, tmp_path)


def test_a_recording_without_a_row_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableTraining, match="no bar has its features and labels known"):
        train(replace(ASKED, data=str(klines(tmp_path / "short", 2_000))), silent, tmp_path)


def test_a_card_tells_the_name_of_a_folder_and_not_where_it_lies() -> None:
    assert learning.source_of("/home/somebody/klines/spot_5m") == "spot_5m"
    assert learning.source_of("store:BINANCE") == "store:BINANCE"


class Stopped(Exception):
    pass


def test_whoever_follows_may_end_it(tmp_path: Path) -> None:
    def stop(_: float, doing: str) -> None:
        if doing.startswith("epoch"):
            raise Stopped

    with pytest.raises(Stopped):
        train(ASKED, stop, tmp_path)


@pytest.mark.usefixtures("unexported")
def test_the_command_writes_a_model_and_says_so_on_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning, "_held_against", lambda *_: b"{}")
    folder = tmp_path / "model"

    call_command(
        "train",
        "--stage",
        "0",
        "--quick",
        "--symbols",
        "btcusdt",
        "--set",
        "noise=0.1",
        "--stride",
        "9",
        "--out",
        str(folder),
        "--json",
    )

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    verify(files, told["digest"])
    assert (told["stage"], told["registered"], told["exported"]) == (0, False, True)
    assert read_card(files["card.json"]).hyper["noise"] == 0.1
    assert told["parameters"] == read_card(files["card.json"]).parameters


@pytest.mark.django_db
@pytest.mark.usefixtures("unexported")
def test_the_command_registers_what_it_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trading.services import model_registry

    class Version:
        state, pk = "REGISTERED", 7

    seen: list[Mapping[str, bytes]] = []

    def register(files: Mapping[str, bytes], **_: object) -> Version:
        seen.append(files)
        return Version()

    monkeypatch.setattr(model_registry, "register", register)
    monkeypatch.setattr(learning, "_held_against", lambda *_: b"{}")

    call_command("train", "--stage", "0", "--quick", "--symbols", "BTCUSDT", "--stride", "9", "--json")

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["registered"], told["state"], told["version"]) == (True, "REGISTERED", 7)
    assert digest_of(seen[0]) == told["digest"]


def test_the_command_names_what_it_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"epochs: 0 is no whole number.*; parent: 'x'"):
        call_command("train", "--stage", "0", "--epochs", "0", "--parent", "x", "--out", str(tmp_path))


@pytest.mark.parametrize(
    ("stage", "size", "name", "hyper"),
    [
        (0, "pointwise", "pointwise", {"held_out": 0.0}),
        (2, "tcn", "tcn", {"held_out": 0.0}),
        (0, "tcn", "lstm", {"size": "tcn"}),  # which the stage refuses by name
        (0, "", "lstm", {}),
    ],
)
def test_a_light_net_is_asked_for_by_its_name(stage: int, size: str, name: str, hyper: dict[str, Any]) -> None:
    settings = TrainingSettings(stage, size=size)

    assert chosen(settings).name == name
    assert plan_of(settings, None).hyper == hyper


def test_a_search_puts_its_trials_where_they_are_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading.ml.stages import search

    def fit(self: search.Search, *_: Any) -> Fitted:
        raise UnableToTrain(f"storage: {self.storage}")

    monkeypatch.setattr(search.Search, "fit", fit)

    with pytest.raises(UnusableTraining, match="storage: postgresql"):
        train(replace(ASKED, stage=5), silent, tmp_path, trials="postgresql")


@pytest.mark.usefixtures("unexported")
def test_a_stage_without_trials_shares_none(tmp_path: Path) -> None:
    with pytest.raises(UnusableTraining, match="shared: stage 0 makes no trials"):
        train(ASKED, silent, tmp_path, trials="sqlite://")
