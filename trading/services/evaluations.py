"""Keep what was measured of a model with it, pass it where it shows enough; remember who opened the locked year."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db import transaction

from trading import live
from trading.domain.model_states import ModelState
from trading.domain.offline_gate import Opening, judge, open_holdout, passed, read_evidence, with_locked_year
from trading.models import ModelVersion
from trading.models.audit import AuditEvent, AuditHead
from trading.services import audit, model_versions

OPENED: Final = "model.holdout_opened"
LONGEST_NAME: Final = 40  # of a family and of what is tested, as it stands in the trail


class UnableToOpen(ValueError):
    """The locked year stays locked; the message names the field, the reason and what to do."""


def openings() -> tuple[Opening, ...]:
    """Return every opening of the locked year, oldest first."""
    events = AuditEvent.objects.filter(action=OPENED).order_by("sequence")
    return tuple(
        Opening(each.payload["family"], each.payload["model"], each.payload["at"], each.actor) for each in events
    )


def open_locked_year(*, family: str, model: str, by: str, at: datetime) -> Opening:
    """Remember for good that the promotion family `family` looks at the locked year, and return the opening.

    Raises:
        HoldoutSpent: it did before.
        UnableToOpen: a name is empty or too long.
    """
    for field, name in (("family", family), ("model", model)):
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise UnableToOpen(f"{field}: {name[:LONGEST_NAME]!a} is no name of 1 to {LONGEST_NAME} letters.")
    opening = Opening(family, model, at.isoformat(timespec="seconds"), by)
    with transaction.atomic():
        AuditHead.objects.select_for_update().get()  # nobody else opens meanwhile
        open_holdout(openings(), opening)
        facts = {"family": family, "model": model, "at": opening.at}
        audit.record(actor=by, action="model.holdout_opened", subject=f"family:{family}", payload=facts, at=at)
    return opening


def keep(*, version: ModelVersion, evaluation: Mapping[str, Any], by: str, at: datetime) -> ModelVersion:
    """Store an evaluation on a model; the one before it is replaced, the trail has the evidence of both.

    What was looked at in the locked year is added to what stands there. A model that waits for its offline gate and
    meets every criterion passes it, in the same transaction.
    """
    with transaction.atomic():
        model_versions.lock()  # before the trail: passing it locks them all
        found = ModelVersion.objects.get(pk=version.pk)
        opened = evaluation.get("opened") is not None
        found.evaluation = with_locked_year(found.evaluation, evaluation) if opened else dict(evaluation)
        found.save(update_fields=["evaluation"])
        facts = {"evidence": found.evaluation.get("evidence", {}), "data": evaluation.get("data", "")}
        audit.record(actor=by, action="model.evaluated", subject=f"model:{found.digest[:12]}", payload=facts, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "models"}))
        return _pass(found, found.evaluation, at) or found


def _pass(version: ModelVersion, evaluation: Mapping[str, Any], at: datetime) -> ModelVersion | None:
    """Pass the offline gate where every criterion is met; None where the model stays what it is."""
    if version.state != ModelState.REGISTERED or version.card.get("quick") is not False:
        return None
    findings = judge(read_evidence(evaluation))
    met = sum(one.met for one in findings)
    why = f"{met} of {len(findings)} criteria of the offline gate are met"
    return model_versions.pass_offline(version, passed=passed(findings), why=why, at=at)
