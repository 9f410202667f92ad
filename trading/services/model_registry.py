"""Take models into the store, each whole and sound or not at all; give them back as they were, or say why not."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

from django.db import IntegrityError, transaction

from trading import live
from trading.adapters import artifacts_storage
from trading.domain import model_package
from trading.domain.learned import ModelFault
from trading.domain.model_card import Card, UnreadableCard, read_card
from trading.domain.model_package import AT_MOST, CARD, EVALUATION, SUMS, Files, UnsoundModel
from trading.models import ModelChange, ModelVersion, TrainingRun
from trading.ports import ArtifactError, ArtifactStore, ArtifactUnreachable
from trading.services import audit, model_trial

FOLDER: Final = "models"
LONGEST_WHY: Final = 500  # characters, as the column
State = ModelVersion.State


class UnableToRegister(Exception):
    """Nothing may use these files; the message is fit for the operator. `version` is the row that says so, if any."""

    def __init__(self, message: str, version: ModelVersion | None = None) -> None:
        super().__init__(message)
        self.version = version


def register(
    files: Files,
    *,
    by: str,
    at: datetime,
    training: TrainingRun | None = None,
    store: ArtifactStore | None = None,
) -> ModelVersion:
    """Verify a model, put its files into the store and remember it; one that is known already is returned.

    `files` hold their SHA256SUMS, or are sealed here. A model that is whole but unsound is remembered as REFUSED.

    Raises:
        UnableToRegister: it is no model, or one that was refused.
        ArtifactUnreachable: the store cannot be used; nothing was remembered, ask again.
    """
    try:
        package, card = _read(files)
    except UnsoundModel as error:
        raise UnableToRegister(str(error)) from error
    digest = model_package.digest_of(package)
    found = ModelVersion.objects.filter(digest=digest).first()
    if found is None:
        why = _why_unsound(package, card)
        if not why:
            _put(store or artifacts_storage.store(), digest, package)
        found = _remember(package, card, digest, why, by, at, training)
    if found.state == State.REFUSED:
        raise UnableToRegister(found.why, found)
    return found


def load(digest: str, *, store: ArtifactStore | None = None) -> dict[str, bytes]:
    """Return the files of a model, verified again.

    Raises:
        UnsoundModel: they are not what was registered: tampered with, cut off, or one is gone.
        ArtifactUnreachable: the store cannot be asked; what it holds is not known.
    """
    place, names = store or artifacts_storage.store(), f"{FOLDER}/{digest}"
    sums = _get(place, f"{names}/{SUMS}", AT_MOST[SUMS])
    listed = model_package.read_sums(sums)
    files = {SUMS: sums} | {name: _get(place, f"{names}/{name}", AT_MOST[name]) for name in listed}
    model_package.verify(files, digest)
    return files


def why_refused(files: Files) -> str:
    """Return why nothing may use these files, fit for the operator; "" where they are sound."""
    try:
        return _why_unsound(*_read(files))
    except UnsoundModel as error:
        return str(error)


def refuse(*, version: ModelVersion, why: str, by: str, at: datetime) -> ModelVersion:
    """Let nothing use a model any more whose files turned out not to be what they say; the last word on it."""
    with transaction.atomic():
        found = ModelVersion.objects.select_for_update().get(pk=version.pk)
        if found.state == State.REFUSED:
            return found
        before, found.state, found.why, found.state_since = found.state, State.REFUSED, why[:LONGEST_WHY], at
        found.save(update_fields=["state", "why", "state_since"])
        ModelChange.objects.create(version=found, before=before, after=State.REFUSED, by=by, why=found.why, at=at)
        _record("model.refused", found, by, at, {"before": before, "why": found.why})
        transaction.on_commit(partial(live.send_command, {"cmd": "models"}))
    return found


def _read(files: Files) -> tuple[dict[str, bytes], Card]:
    package = dict(files) if SUMS in files else model_package.sealed(files)
    model_package.verify(package)
    if EVALUATION in package:
        model_package.json_in(EVALUATION, package[EVALUATION])
    model_package.json_in(CARD, package[CARD])  # no key twice: everybody reads the same card
    try:
        return package, read_card(package[CARD])
    except UnreadableCard as error:
        raise UnsoundModel(f"{CARD}: {error}") from error


def _why_unsound(package: Files, card: Card) -> str:
    from trading.adapters.model_files import refuse_unsound  # half a second of imports, only where a model comes in
    from trading.adapters.predictor_onnx import OnnxPredictor

    try:
        refuse_unsound(package, card)
        model_trial.refuse_unfit(OnnxPredictor(package))
    except UnsoundModel as error:
        return str(error)
    except ModelFault as error:
        return f"{error.fault}: {error}"
    return ""


def _put(store: ArtifactStore, digest: str, package: Files) -> None:
    """The sums come last: whoever finds them finds the rest."""
    for name in sorted(package, key=lambda name: (name == SUMS, name)):
        store.put(f"{FOLDER}/{digest}/{name}", package[name])


def _get(store: ArtifactStore, name: str, at_most: int) -> bytes:
    try:
        return store.get(name, at_most=at_most)
    except ArtifactUnreachable:
        raise
    except ArtifactError as error:
        raise UnsoundModel(f"{error} Register the model again, or restore the store.") from error


def _remember(
    package: Files, card: Card, digest: str, why: str, by: str, at: datetime, training: TrainingRun | None
) -> ModelVersion:
    evaluation = model_package.json_in(EVALUATION, package[EVALUATION]) if EVALUATION in package else None
    try:
        with transaction.atomic():
            made = ModelVersion.objects.create(
                digest=digest,
                name=card.name,
                stage=card.stage,
                card=card.as_json(),
                evaluation=evaluation,
                training=training,
                state=State.REFUSED if why else State.REGISTERED,
                why=why[:LONGEST_WHY],
                registered_by=by,
                registered_at=at,
                state_since=at,
            )
            facts = {"why": made.why} if why else {"parameters": card.parameters, "quick": card.quick}
            _record("model.refused" if why else "model.registered", made, by, at, facts)
    except IntegrityError:  # somebody else was faster with the same files
        return ModelVersion.objects.get(digest=digest)
    return made


def _record(action: str, version: ModelVersion, by: str, at: datetime, facts: Mapping[str, object]) -> None:
    payload = {"digest": version.digest, "name": version.name, "stage": version.stage, **facts}
    audit.record(actor=by, action=action, subject=f"model:{version.digest[:12]}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "models"))
