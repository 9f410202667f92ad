"""Ask for a backtest, carry it out, follow it, cancel it. The work itself is handed in: services know no simulator."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from django.db import transaction

from trading import live
from trading.domain.backtest_settings import BacktestSettings, read
from trading.domain.search_plan import Plan, read_plan
from trading.models import Backtest
from trading.services import audit

MOST_AT_ONCE: Final = 3  # of one person, waiting or running
KEPT: Final = 200  # runs; the oldest that have ended go
SILENT_AFTER: Final = timedelta(minutes=2)  # whoever ran it is gone
SAY_EVERY: Final = timedelta(milliseconds=200)
RUN, WARM = "run_backtests", "warm_backtests"  # commands to the tasks worker
OPEN: Final = (Backtest.State.WAITING, Backtest.State.RUNNING)

Clock = Callable[[], datetime]


class Told(Protocol):
    """What came of a run, as plain JSON."""

    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def curves(self) -> dict[str, Any]: ...


Progress = Callable[[float], None]


class Works(NamedTuple):
    """Who carries out what."""

    backtest: Callable[[BacktestSettings, Progress], Told]
    search: Callable[[BacktestSettings, Plan, Progress, str, int], Told]  # with its name, and trials made before it


class UnableToAsk(Exception):
    """Nothing was started; the message is fit for the operator."""


class UnableToCancel(Exception):
    """Nothing was cancelled; the message is fit for the operator."""


class Canceled(Exception):
    """Somebody asked to end the run that is being carried out."""


def ask(*, settings: BacktestSettings, by: str, at: datetime, plan: Plan | None = None) -> Backtest:
    """Keep what is asked, with a `plan` a search, and call whoever carries it out.

    Raises:
        UnableToAsk: this person has enough runs that have not ended.
    """
    with transaction.atomic():
        mine = Backtest.objects.select_for_update().filter(asked_by=by, state__in=OPEN)
        if len(mine) >= MOST_AT_ONCE:
            raise UnableToAsk(f"{MOST_AT_ONCE} backtests of yours have not ended; wait for one, or cancel it.")
        written = None if plan is None else plan.as_json()
        asked = Backtest.objects.create(settings=settings.as_json(), plan=written, asked_by=by, asked_at=at)
        payload = {"settings": asked.settings} | ({} if plan is None else {"plan": written})
        _record("backtest.asked" if plan is None else "search.asked", asked, by, at, payload)
        _forget_old()
        transaction.on_commit(partial(live.send_command, {"cmd": RUN, "account": None}))
    return asked


def warm() -> None:
    """Have the tasks worker load what a backtest needs, so that the first one does not wait for it."""
    live.send_command({"cmd": WARM, "account": None})


def anything_waits() -> bool:
    """Return whether a backtest waits to be carried out."""
    return Backtest.objects.filter(state=Backtest.State.WAITING).exists()


def cancel(*, run_id: int, by: str, at: datetime) -> Backtest:
    """End a run: one that waits at once, one that runs as soon as it looks.

    Raises:
        UnableToCancel: it has ended.
    """
    with transaction.atomic():
        run = Backtest.objects.select_for_update().get(pk=run_id)
        if run.state not in OPEN:
            raise UnableToCancel(f"Backtest {run.pk} has ended: {run.get_state_display().lower()}.")
        run.cancel_asked = True
        if run.state == Backtest.State.WAITING:
            run.state, run.ended_at = Backtest.State.CANCELED, at
        run.save(update_fields=["cancel_asked", "state", "ended_at"])
        _record("backtest.canceled", run, by, at, {})
    return run


def carry_out_waiting(works: Works, clock: Clock, refusals: tuple[type[Exception], ...]) -> int:
    """Carry out all that waits, oldest first; return how many. `refusals` are what `works` say no with."""
    count = 0
    while (run := _claim(clock())) is not None:
        _carry_out(run, works, clock, refusals)
        count += 1
    return count


def end_silent(at: datetime) -> int:
    """Mark as failed what nobody carries out any more; return how many."""
    words = "Whoever ran it is gone: the tasks worker was stopped or started anew. Run it again."
    gone = Backtest.objects.filter(state=Backtest.State.RUNNING, seen_at__lt=at - SILENT_AFTER)
    return gone.update(state=Backtest.State.FAILED, why=words, ended_at=at)


def _claim(at: datetime) -> Backtest | None:
    """Take the oldest run that waits; nobody else gets it."""
    with transaction.atomic():
        waiting = Backtest.objects.select_for_update(skip_locked=True).filter(state=Backtest.State.WAITING)
        run = waiting.order_by("id").first()
        if run is not None:
            run.state, run.began_at, run.seen_at = Backtest.State.RUNNING, at, at
            run.save(update_fields=["state", "began_at", "seen_at"])
    return run


def _carry_out(run: Backtest, works: Works, clock: Clock, refusals: tuple[type[Exception], ...]) -> None:
    try:
        told = _work(run, works, _Follow(run.pk, clock))
    except Canceled:
        _end(run, Backtest.State.CANCELED, clock())
    except refusals as error:
        _end(run, Backtest.State.FAILED, clock(), why=str(error)[:500])
    except Exception as error:
        _end(run, Backtest.State.FAILED, clock(), why=f"A defect ended it ({type(error).__name__}); the log has more.")
        raise
    else:
        _end(run, Backtest.State.DONE, clock(), facts=told.facts, curves=told.curves, progress=1)


def _work(run: Backtest, works: Works, follow: Progress) -> Told:
    settings = read(run.settings)
    if run.plan is None:
        return works.backtest(settings, follow)
    return works.search(settings, read_plan(run.plan, settings), follow, name_of(run), trials_before(run))


def name_of(search: Backtest) -> str:
    """Return the name under which workers share the study of a search."""
    return f"search-{search.pk}"


def trials_before(search: Backtest) -> int:
    """Return how many trials earlier searches, of anybody, have made over the same data and symbol."""
    same = {"settings__data": search.settings["data"], "settings__symbol": search.settings["symbol"]}
    done = Backtest.objects.filter(state=Backtest.State.DONE, plan__isnull=False, pk__lt=search.pk, **same)
    return sum(done.values_list("facts__counts__tried", flat=True))


class _Follow:
    """Says how far a run is, now and then, and ends it where somebody asked for that."""

    def __init__(self, run_id: int, clock: Clock) -> None:
        self._rows = Backtest.objects.filter(pk=run_id)
        self._clock = clock
        self._said_at: datetime | None = None

    def __call__(self, fraction: float) -> None:
        at = self._clock()
        if self._said_at is not None and at - self._said_at < SAY_EVERY:
            return
        self._said_at = at
        self._rows.update(progress=min(max(fraction, 0.0), 1.0), seen_at=at)
        if self._rows.filter(cancel_asked=True).exists():
            raise Canceled


def _end(run: Backtest, state: Backtest.State, at: datetime, **told: Any) -> None:
    Backtest.objects.filter(pk=run.pk, state=Backtest.State.RUNNING).update(state=state, ended_at=at, **told)


def _forget_old() -> None:
    oldest = Backtest.objects.order_by("-id").values_list("id", flat=True)[KEPT : KEPT + 1]
    if found := list(oldest):
        Backtest.objects.filter(id__lte=found[0]).exclude(state__in=OPEN).delete()


def _record(action: str, run: Backtest, by: str, at: datetime, payload: Mapping[str, Any]) -> None:
    audit.record(actor=by, action=action, subject=f"backtest:{run.pk}", payload=dict(payload), at=at)
