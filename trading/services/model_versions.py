"""Move models from one state to another, and take them back; whoever wants one promoted asks governance.

What moves a model locks every version, in order: two who decide at once wait for each other, and there is one champion.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction

from trading import live
from trading.domain.events import Severity
from trading.domain.model_package import UnsoundModel
from trading.domain.model_states import LIVE, Condition, ModelState, drift, fallback, why_not_move, why_roll_back
from trading.models import Alert, ModelChange, ModelReplay, ModelVersion
from trading.ports import ArtifactError
from trading.services import alerts, audit

BY_WATCH: Final = "rule: model watch"
OF_THE_WATCH: Final = ("MODEL_DRIFT", "MODEL_FALLBACK")
_LONGEST_WHY: Final = ModelVersion._meta.get_field("why").max_length

Verify = Callable[[str], str]  # digest -> why its files cannot be used, or an empty text


class UnableToMove(Exception):
    """The model stays what it is; the message is fit for the operator."""


def why_unusable(digest: str) -> str:
    """Return why the files of a model cannot be used now, or an empty text: they are read and verified again."""
    from trading.services import model_registry  # reading files is loaded only where it is needed

    try:
        model_registry.load(digest)
    except (ArtifactError, UnsoundModel) as error:
        return str(error)
    return ""


def lock() -> dict[int, ModelVersion]:
    """Return every version by its key, locked until the caller's transaction ends; lock them before the trail."""
    every = ModelVersion.objects.select_for_update(no_key=True).defer("card", "evaluation").order_by("pk")
    return {row.pk: row for row in every}


def move(
    version: ModelVersion, to: ModelState, *, by: str, why: str, at: datetime, canary_symbol: str = ""
) -> ModelVersion:
    """Move `version` to another state; the champion that it replaces retires in the same transaction.

    `canary_symbol` is the one symbol that a canary may touch.

    Raises:
        UnableToMove: its life does not go that way, there is another canary, or a canary has no symbol.
    """
    with transaction.atomic():
        rows = lock()
        row = _row(rows, version.pk)
        _refuse_if(why_not_move(ModelState(row.state), to))
        if to is ModelState.CANARY:
            _refuse_if(_why_not_canary(rows, row, canary_symbol))
        _take_place(rows, row, to, by, at)
        row.canary_symbol = canary_symbol if to is ModelState.CANARY else ""
        _change(row, to, by, why, at)
    return row


def pass_offline(version: ModelVersion, *, passed: bool, why: str, at: datetime) -> ModelVersion | None:
    """Heed the machine's word on the offline gate; None where the model stays registered.

    Raises:
        UnableToMove: it is no model that waits for its offline gate, or it was trained to prove plumbing only.
    """
    if not passed:
        return None
    if version.card.get("quick") is not False:
        raise UnableToMove("A quick training proves plumbing only: train it in full, then evaluate it.")
    return move(version, ModelState.OFFLINE_PASS, by="rule: offline gate", why=why, at=at)


def roll_back(
    version: ModelVersion, *, by: str, why: str, at: datetime, verify: Verify = why_unusable
) -> ModelVersion | None:
    """Take a canary or the champion back; return the champion there is then, None where the rule grid trades alone.

    The champion before this one comes back where it retired for it, its files verify and no CRIT stands: after one
    nothing that a machine says is heard again without people.

    Raises:
        UnableToMove: nobody trades on this model.
    """
    before = _champion_before(version)
    unfit = verify(before.digest) if before is not None else ""
    with transaction.atomic():
        rows = lock()
        row = _row(rows, version.pk)
        if ModelState(row.state) not in LIVE:
            raise UnableToMove(f"{row.name} is {ModelState(row.state).words}: nobody trades on it.")
        back = None
        if row.state == ModelState.CHAMPION and before is not None and not (unfit or _stands_against()):
            back = _retired(rows, before.pk)
        other = (one for one in rows.values() if one.state == ModelState.CHAMPION and one.pk != row.pk)
        champion = back or next(other, None)
        _tell(row, champion, why, at)  # alerts are locked before the trail
        _change(row, ModelState.ROLLED_BACK, by, why, at)
        if back is not None:
            _change(back, ModelState.CHAMPION, by, f"{row.name} {row.digest[:8]} was rolled back", at)
    return champion


def heed(version: ModelVersion, seen: Condition, *, at: datetime, verify: Verify = why_unusable) -> str:
    """Tell of drift and fallback, and take back what must not go on; return why it was taken back, or an empty text.

    Of a model that nobody trades on only its drift is told: what it misses stands in its evidence.
    """
    name, state = f"{version.name} {version.digest[:8]}", ModelState(version.state)
    words = drift(seen)
    if _is_news("MODEL_DRIFT", version, words, is_known=seen.psi is not None, at=at):
        message, symbol = f"{name}: {words}.", _short(version)
        alerts.raise_alert(
            account=None, severity=Severity.WARN, code="MODEL_DRIFT", symbol=symbol, message=message, at=at
        )  # fmt: skip
    words = fallback(seen) if state in LIVE else ""
    if _is_news("MODEL_FALLBACK", version, words, is_known=True, at=at):
        message, symbol = f"{name} is not heard, the rule is used: {words}.", _short(version)
        alerts.raise_alert(
            account=None, severity=Severity.WARN, code="MODEL_FALLBACK", symbol=symbol, message=message, at=at
        )  # fmt: skip
    why = why_roll_back(state, seen)
    if not why:
        return ""
    try:
        roll_back(version, by=BY_WATCH, why=why, at=at, verify=verify)
    except UnableToMove:
        return ""  # somebody was faster
    return why


def forget_others(running: Collection[ModelVersion], *, at: datetime) -> None:
    """Let end what was told of models that no longer run."""
    left = Alert.objects.filter(code__in=OF_THE_WATCH, cleared_at=None)
    for symbol in left.exclude(symbol__in=[_short(one) for one in running]).values_list("symbol", flat=True):
        alerts.clear_alerts(codes=OF_THE_WATCH, symbol=symbol, at=at)


def record_replay(
    version: ModelVersion, *, since: datetime, until: datetime, compared: int, equal: int, at: datetime
) -> ModelReplay:
    """Keep how many of the features that the model read live are those of a replay of the recorded market."""
    return ModelReplay.objects.create(
        version=version, since=since, until=until, compared=compared, equal=equal, at=at
    )  # fmt: skip


# --- how ----------------------------------------------------------------------------------------------------------


def _row(rows: dict[int, ModelVersion], key: int) -> ModelVersion:
    if key not in rows:
        raise UnableToMove("There is no such model any more; reload the page.")
    return rows[key]


def _why_not_canary(rows: dict[int, ModelVersion], row: ModelVersion, symbol: str) -> str:
    if not symbol:
        return "A canary touches one symbol: name it."
    other = next((one for one in rows.values() if one.state == ModelState.CANARY and one.pk != row.pk), None)
    return f"{other.name} {other.digest[:8]} is the canary: decide on it first." if other else ""


def _take_place(rows: dict[int, ModelVersion], row: ModelVersion, to: ModelState, by: str, at: datetime) -> None:
    """Retire the champion whose place is taken, first: there is never a second one."""
    if to is not ModelState.CHAMPION:
        return
    for other in rows.values():
        if other.state == ModelState.CHAMPION:
            _change(other, ModelState.RETIRED, by, f"{row.name} {row.digest[:8]} took its place", at)


def _change(row: ModelVersion, to: ModelState, by: str, why: str, at: datetime) -> None:
    before, row.state, row.why, row.state_since = row.state, to.value, why[:_LONGEST_WHY], at
    row.save(update_fields=["state", "why", "state_since", "canary_symbol"])
    ModelChange.objects.create(version=row, before=before, after=to.value, by=by, why=row.why, at=at)
    _record(row, "model.moved", by, {"before": before, "after": to.value, "why": row.why}, at)


def _champion_before(version: ModelVersion) -> ModelVersion | None:
    """Return who was the champion before `version`, None where nobody was or it did not retire for another one."""
    left = ModelChange.objects.filter(before=ModelState.CHAMPION).exclude(version=version).order_by("-id").first()
    if left is None or left.after != ModelState.RETIRED or left.version.state != ModelState.RETIRED:
        return None
    return left.version


def _retired(rows: dict[int, ModelVersion], key: int) -> ModelVersion | None:
    row = rows.get(key)
    may = row is not None and not why_not_move(ModelState(row.state), ModelState.CHAMPION, is_rollback=True)
    return row if may else None


def _stands_against() -> str:
    crit = Alert.objects.filter(severity=Severity.CRIT, cleared_at=None).order_by("-id").first()
    return f"{crit.code} stands" if crit else ""


def _short(version: ModelVersion) -> str:
    """Return what tells models apart on an alert."""
    return version.digest[:12]


def _is_news(code: str, version: ModelVersion, words: str, *, is_known: bool, at: datetime) -> bool:
    """Return whether people must be told; what is over is said to be, what is not known is neither."""
    if not words:
        if is_known:
            alerts.clear_alerts(codes=[code], symbol=_short(version), at=at)
        return False
    return not Alert.objects.filter(code=code, symbol=_short(version), cleared_at=None).exists()


def _tell(row: ModelVersion, champion: ModelVersion | None, why: str, at: datetime) -> None:
    goes_on = f"{champion.name} {champion.digest[:8]} is the champion" if champion else "the rule grid trades alone"
    message = f"{row.name} {row.digest[:8]} was rolled back: {why}; {goes_on}."
    alerts.raise_alert(account=None, severity=Severity.WARN, code="MODEL_ROLLED_BACK", message=message, at=at)


def _record(row: ModelVersion, action: str, by: str, facts: dict[str, object], at: datetime) -> None:
    payload = {"digest": row.digest, "name": row.name, **facts}
    audit.record(actor=by, action=action, subject=f"model:{row.digest[:12]}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "models"))
    transaction.on_commit(partial(live.send_command, {"cmd": "models", "account": None}))


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToMove(refusal)
