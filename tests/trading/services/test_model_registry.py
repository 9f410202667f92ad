"""Bad-input row "model files": whatever is odd about a model is refused with the reason, and nothing uses it."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from tests.trading.tiny_card import BAR_S, card
from tests.trading.tiny_model import files, line, safetensors, weights
from trading.adapters.artifacts_storage import FolderArtifacts
from trading.domain.model_package import CARD, NET, SUMS, WEIGHTS, UnsoundModel, digest_of, sealed
from trading.models import AuditEvent, ModelChange, ModelVersion
from trading.ports import ArtifactUnreachable
from trading.services import model_registry
from trading.services.model_registry import UnableToRegister

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def root(settings: Settings, tmp_path: Path) -> Path:
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"
    return tmp_path / "artifacts"


def register(given: Files) -> ModelVersion:
    return model_registry.register(given, by="cto", at=NOW)


def test_a_sound_model_is_stored_whole_and_remembered_with_its_audit_row() -> None:
    given = sealed({**files(), "evaluation.json": b'{"skill": 0.05}'})

    version = register(given)

    assert version.state == "REGISTERED"
    assert version.digest == digest_of(given)
    assert version.card["bar_s"] == BAR_S
    assert version.evaluation == {"skill": 0.05}
    assert model_registry.load(version.digest) == given
    event = AuditEvent.objects.get(action="model.registered")
    assert (event.actor, event.payload["digest"]) == ("cto", version.digest)


def test_a_model_that_steps_says_the_same_bar_by_bar() -> None:
    assert register(files(said=card(mode="step"))).state == "REGISTERED"


def test_files_without_sums_are_sealed_first() -> None:
    given = files()
    bare = {name: content for name, content in given.items() if name != SUMS}

    assert register(bare).digest == digest_of(given)


def test_the_same_model_again_is_the_same_row() -> None:
    assert register(files()) == register(files())
    assert AuditEvent.objects.filter(action="model.registered").count() == 1


# --- what is odd --------------------------------------------------------------------------------------------------


def _zipped_pickle() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({}))
    return content.getvalue()


def _cut(name: str) -> Files:
    given = files()
    return {**given, name: given[name][: len(given[name]) // 2]}


def _changed(name: str) -> Files:
    given = files()
    return {**given, name: given[name][:-1] + bytes([given[name][-1] ^ 1])}


def _resealed(**changes: bytes) -> Files:
    return sealed({**files(), **{name.replace("_", "."): content for name, content in changes.items()}})


NOT_EVEN_A_MODEL: dict[str, tuple[Callable[[], Files], str]] = {
    "nothing": (dict, "missing"),
    "pickle in place of the weights": (lambda: {**files(), WEIGHTS: pickle.dumps({"a": 1})}, "pickle"),
    "zip around a pickle": (lambda: {**files(), WEIGHTS: _zipped_pickle()}, "pickle"),
    "pickle beside the rest": (lambda: {**files(), "model.pkl": b"\x80\x04."}, "no file of a model"),
    "net cut off": (lambda: _cut(NET), "model.onnx: hash mismatch"),
    "weights cut off": (lambda: _cut(WEIGHTS), "weights.safetensors: hash mismatch"),
    "one bit of the net": (lambda: _changed(NET), "model.onnx: hash mismatch"),
    "one bit of the card": (lambda: _changed(CARD), "card.json: hash mismatch"),
    "0 bytes": (lambda: {**files(), NET: b""}, "model.onnx: 0 bytes"),
    "no weights": (lambda: {k: v for k, v in files().items() if k != WEIGHTS}, "weights.safetensors: missing"),
    "sums of another model": (lambda: {**files(), SUMS: files(said=card(stage=1))[SUMS]}, "card.json: hash mismatch"),
    "sums that leave a file out": (
        lambda: {**files(), SUMS: b"\n".join(files()[SUMS].split(b"\n")[1:])},
        "card.json: only one of",
    ),
    "a path among the sums": (lambda: {**files(), SUMS: b"0" * 64 + b"  ../x\n"}, "line 1 is no sum"),
    "a card that is no JSON": (lambda: _resealed(card_json=b"{"), "no JSON"),
    "a card with a key twice": (lambda: _resealed(card_json=b'{"name": "a", "name": "b"}'), "twice"),
    "a card with NaN": (lambda: _resealed(card_json=b'{"name": NaN}'), "NaN is no number"),
    "a card without end": (lambda: _resealed(card_json=b"[" * 100_000), "no JSON"),
    "a card that lacks a field": (lambda: _resealed(card_json=b'{"name": "a"}'), "stage: missing"),
    "an evaluation with infinity": (lambda: _resealed(evaluation_json=b'{"a": Infinity}'), "Infinity is no number"),
}


@pytest.mark.parametrize("case", NOT_EVEN_A_MODEL)
def test_what_is_no_whole_model_is_refused_and_leaves_nothing(case: str, root: Path) -> None:
    make, reason = NOT_EVEN_A_MODEL[case]

    with pytest.raises(UnableToRegister, match=reason):
        register(make())

    assert reason in model_registry.why_refused(make())
    assert not ModelVersion.objects.exists()
    assert not list(root.rglob("*"))


def _with_nan() -> Files:
    slope = weights()["slope"].copy()
    slope[3, 1] = np.nan
    return files(held=weights(slope=slope))


def _line(**changes: Any) -> bytes:
    return line(weights(), card().outputs, **changes)


def _other_inputs(net: bytes, old: bytes, new: bytes) -> bytes:
    assert old in net
    return net.replace(old, new)


UNSOUND: dict[str, tuple[Callable[[], Files], str]] = {
    "NaN in the weights": (_with_nan, "slope holds NaN"),
    "infinity in the net alone": (
        lambda: files(net=line(weights(slope=weights()["slope"] + np.inf), card().outputs)),
        "model.onnx: slope holds NaN or infinity",
    ),
    "net of other weights": (
        lambda: files(net=line(weights(slope=weights()["slope"] * 2), card().outputs)),
        "model.onnx: slope is not what weights.safetensors holds",
    ),
    "always the same": (lambda: files(held=weights(slope=weights()["slope"] * 0)), "always answers the same"),
    "feature order": (lambda: files(said=card(features=card().features[::-1])), "other features"),
    "features of another version": (lambda: files(said=card(schema="ab")), "other features"),
    "scaler of another training": (
        lambda: files(said=card(mean=tuple(float(m) + 1 for m in card().mean))),
        "standardize.mean is another scaler",
    ),
    "scaler that lands elsewhere": (lambda: files(net=_line(shift=30.0)), "is the scaler its own"),
    "too slow": (lambda: files(said=card(deadline_ms=0.5), net=_line(layers=12)), "ms of 0.5 ms"),
    "other architecture": (
        lambda: files(said=card(outputs=("log_rv", "trend")), net=_line()),
        "its card log_rv, trend",
    ),
    "an output nobody knows": (lambda: files(said=card(outputs=("price",)), net=_line()), "outputs: price"),
    "other shape": (lambda: files(said=card(horizons_s=(3_600, 14_400))), "log_rv has shape"),
    "other dtype": (lambda: files(net=_as_double()), "not of 32-bit floats"),
    "a step form that is missing": (
        lambda: sealed({k: v for k, v in files(said=card(mode="step")).items() if k != "step.onnx"}),
        "step.onnx is missing",
    ),
    "no ONNX at all": (lambda: files(net=b"hello"), "no ONNX"),
    "safetensors cut off, then sealed": (
        lambda: _resealed(weights_safetensors=safetensors(weights())[:-4]),
        "cut off or added to",
    ),
    "safetensors with more behind": (lambda: _resealed(weights_safetensors=safetensors(weights()) + b"1"), "added to"),
    "safetensors of objects": (
        lambda: _resealed(weights_safetensors=safetensors(weights()).replace(b"F32", b"OBJ")),
        "no tensor of plain numbers",
    ),
}


def _as_double() -> bytes:
    import onnx

    model = onnx.load_from_string(_line())
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("case", UNSOUND)
def test_a_model_that_is_whole_but_unsound_is_remembered_as_refused(case: str, root: Path) -> None:
    make, reason = UNSOUND[case]
    given = make()

    with pytest.raises(UnableToRegister, match=reason) as refused:
        register(given)

    version = ModelVersion.objects.get()
    assert refused.value.version == version
    assert (version.state, version.digest) == ("REFUSED", digest_of(given))
    assert reason in version.why
    assert AuditEvent.objects.get(action="model.refused").payload["why"] == version.why
    assert not list(root.rglob("*"))
    with pytest.raises(UnableToRegister, match=reason):
        register(given)
    assert ModelVersion.objects.count() == 1


def test_weights_in_another_file_are_refused() -> None:
    import onnx

    model = onnx.load_from_string(_line())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secrets.key")

    with pytest.raises(UnableToRegister, match="another file"):
        register(files(net=bytes(model.SerializeToString())))


# --- what was changed in the store --------------------------------------------------------------------------------


def _tamper(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()
    if how == "one bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "cut off":
        path.write_bytes(content[:-1])
    elif how == "0 bytes":
        path.touch()
    elif how == "symlink":
        kept = path.parent.parent.parent / "elsewhere"
        kept.write_bytes(content)  # even the right bytes: somebody may change them after they were checked
        path.symlink_to(kept)
    elif how == "much longer":
        path.write_bytes(content + bytes(1_000_001))


@pytest.mark.parametrize("name", [CARD, NET, WEIGHTS, SUMS])
@pytest.mark.parametrize("how", ["one bit", "cut off", "0 bytes", "symlink", "gone", "much longer"])
def test_a_file_that_was_changed_in_the_store_is_not_loaded(root: Path, name: str, how: str) -> None:
    version = register(files())
    _tamper(root / "models" / version.digest / name, how)

    with pytest.raises(UnsoundModel):
        model_registry.load(version.digest)


def test_a_model_nobody_has_is_not_loaded() -> None:
    with pytest.raises(UnsoundModel, match="no such artefact"):
        model_registry.load("0" * 64)


def test_another_model_in_its_folder_is_not_loaded(root: Path) -> None:
    one, other = register(files()), register(files(said=card(stage=1)))
    (root / "models" / one.digest).rename(root / "models/away")
    (root / "models" / other.digest).rename(root / "models" / one.digest)

    with pytest.raises(UnsoundModel, match="hash mismatch"):
        model_registry.load(one.digest)


def test_a_store_that_cannot_be_asked_says_nothing_about_the_model(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")

    class Away(FolderArtifacts):
        def put(self, name: str, content: bytes) -> None:
            raise ArtifactUnreachable("the store does not answer.")

    with pytest.raises(ArtifactUnreachable):
        model_registry.register(files(), by="cto", at=NOW, store=Away(tmp_path))
    assert not ModelVersion.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="model.").exists()


def test_a_refused_model_stays_refused_and_says_what_it_was_before() -> None:
    version = register(files())
    ModelVersion.objects.update(state="CHAMPION")

    model_registry.refuse(version=version, why="model.onnx: hash mismatch", by="rule", at=NOW)
    model_registry.refuse(version=version, why="another reason", by="rule", at=NOW)

    version.refresh_from_db()
    assert (version.state, version.why) == ("REFUSED", "model.onnx: hash mismatch")
    change = ModelChange.objects.get()
    assert (change.before, change.after, change.by) == ("CHAMPION", "REFUSED", "rule")
    assert AuditEvent.objects.filter(action="model.refused").count() == 1
    with pytest.raises(UnableToRegister, match="hash mismatch"):
        register(files())


def test_the_card_is_kept_as_it_was_read() -> None:
    given = files()

    assert register(given).card == json.loads(given[CARD])
