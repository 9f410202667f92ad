"""Which models serve, their files when the loop wants them, and what is remembered of what they say."""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.db import transaction

from trading.domain.learned import Fault, ModelFault
from trading.domain.model_card import UnreadableCard, read_card
from trading.domain.model_package import UnsoundModel
from trading.domain.model_roster import CANARY, CHAMPION, SHADOW, Batch, Heard, Member, Roster
from trading.models import Account, Halt, ModelForecast, ModelHealth, ModelVersion
from trading.ports import ArtifactError, Predictor
from trading.services import model_registry

log = logging.getLogger(__name__)

SERVING: Final = (SHADOW, CANARY, CHAMPION)
LONGEST_REASON: Final = 300  # characters, as the column


def roster() -> Roster:
    """Return who serves; a row whose card cannot be read serves nobody."""
    members = []
    for row in ModelVersion.objects.filter(state__in=SERVING).order_by("id"):
        try:
            card = read_card(json.dumps(row.card).encode())
        except UnreadableCard as error:
            log.warning("model %s serves nobody: %s", row, error)
        else:
            members.append(Member(row.pk, row.digest, row.name, row.state, row.canary_symbol, card))
    return Roster(tuple(members), bool(members) and _is_everything_halted())


def load(member: Member, *, at: datetime) -> Predictor | ModelFault:
    """Return the loaded model, or why it cannot be; files that are not what they say are refused for good."""
    from trading.adapters.predictor_onnx import OnnxPredictor  # its runtime is loaded only where a model serves

    try:
        return OnnxPredictor(model_registry.load(member.digest))
    except UnsoundModel as error:
        version = ModelVersion.objects.get(pk=member.key)
        model_registry.refuse(version=version, why=str(error), by="rule", at=at)
        return ModelFault(Fault.MISMATCH, str(error))
    except ArtifactError as error:
        return ModelFault(Fault.MISSING, str(error))
    except ModelFault as error:
        return error


def store(batch: Batch, *, at: datetime) -> None:
    """Remember a batch; what is remembered already, or of a model that is gone, is left as it is."""
    known = set(ModelVersion.objects.filter(pk__in={one.version for one in batch.heard}).values_list("pk", flat=True))
    heard = [one for one in batch.heard if one.version in known]
    with transaction.atomic():
        ModelForecast.objects.bulk_create([_forecast(one) for one in heard], ignore_conflicts=True)
        newest = {(one.version, one.symbol): one for one in heard}
        _store_health(newest, at)
        for came in batch.came:
            rows = ModelForecast.objects.filter(version=came.version, symbol=came.symbol, at=came.at)
            rows.update(realized=came.log_rv)


def _is_everything_halted() -> bool:
    halted = Halt.objects.filter(symbol="", released_at=None).values("account")
    return Account.objects.exists() and not Account.objects.exclude(pk__in=halted).exists()


def _forecast(one: Heard) -> ModelForecast:
    is_heard = not one.fault
    return ModelForecast(
        version_id=one.version,
        symbol=one.symbol,
        at=one.at,
        log_rv=one.log_rv if is_heard else None,
        low=one.low if is_heard else None,
        high=one.high if is_heard else None,
        trend=one.trend if is_heard else None,
        rule_log_rv=one.rule_log_rv,
        fault=one.fault,
        took_us=one.took_us,
        features_sha256=one.features_sha256,
    )


def _store_health(newest: Mapping[tuple[int, str], Heard], at: datetime) -> None:
    rows = ModelHealth.objects.filter(version__in={version for version, _ in newest})
    found = {(row.version_id, row.symbol): row for row in rows}
    for (version, symbol), one in newest.items():
        before = found.get((version, symbol))
        since = before.since if before is not None and before.fault == one.fault else one.at
        facts = {
            "fault": one.fault,
            "reason": one.reason[:LONGEST_REASON],
            "since": since,
            "bars": one.bars,
            "fallbacks": one.fallbacks,
            "psi": one.psi,
            "loss_drift": one.loss_drift,
            "seen_at": at,
        }
        ModelHealth.objects.update_or_create(version_id=version, symbol=symbol, defaults=facts)
