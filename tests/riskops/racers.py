"""Two processes, each with a connection of its own, that do one deed each at the same instant."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final, Protocol

DONE: Final = ""  # the answer of a deed that was not refused
BROKEN: Final = "broken: "  # begins the answer of a deed that neither did anything nor refused to
LIMIT_S: Final = 30.0
Deed = tuple[str, Mapping[str, Any]]  # name of a function below, and its arguments


class Go(Protocol):
    """Have both deeds done at the same instant and return both answers."""

    def __call__(self, first: Deed, second: Deed, *, swapped: bool) -> tuple[str, str]: ...


@contextmanager
def started(database: str, latch_file: Path) -> Iterator[Go]:
    """Start both processes on `database`; they end with the block."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    ends = [context.Pipe() for _ in range(2)]
    racers = [context.Process(target=race, args=(far, barrier, database, latch_file), daemon=True) for _, far in ends]
    near = [one for one, _ in ends]
    for racer in racers:
        racer.start()
    try:
        yield partial(_go, near)
    finally:
        for pipe in near:
            pipe.send(None)
        for racer in racers:
            racer.join(LIMIT_S)


def _go(pipes: list["Connection[Any, Any]"], first: Deed, second: Deed, *, swapped: bool) -> tuple[str, str]:
    order = pipes[::-1] if swapped else pipes
    for pipe, deed in zip(order, (first, second), strict=True):
        pipe.send(deed)
    answers = [_answer(pipe) for pipe in order]
    return answers[0], answers[1]


def _answer(pipe: "Connection[Any, Any]") -> str:
    if not pipe.poll(LIMIT_S):
        raise TimeoutError("a racer gives no answer")
    return str(pipe.recv())


# --- in the other process -----------------------------------------------------------------------------------------


def race(pipe: "Connection[Any, Any]", barrier: Barrier, database: str, latch_file: Path) -> None:
    """Prepare what is asked for, wait for the other process, do it, and say what came of it."""
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    settings.HALT_LATCH_FILE = latch_file
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # as the tests
    django.setup()
    while (asked := pipe.recv()) is not None:
        name, facts = asked
        act = DEEDS[name](**facts)
        barrier.wait(LIMIT_S)
        pipe.send(_done(act))


def _done(act: Callable[[], object]) -> str:
    from riskops.services.phases import UnableToStep
    from riskops.services.step_up import UnableToStepUp

    try:
        act()
    except (UnableToStep, UnableToStepUp) as refused:
        return str(refused)
    except Exception as error:  # a deadlock, a broken constraint: what nobody may see
        return f"{BROKEN}{error!r}"
    return DONE


def _begin(account: int, by: str, at: datetime) -> Callable[[], object]:
    from riskops.services import phases
    from trading.models import Account

    desk = Account.objects.get(pk=account)
    return partial(phases.begin, account=desk, phase_id="4.0", by=_person(by), at=at)


def _ask(run: int, by: str, at: datetime) -> Callable[[], object]:
    from riskops.models import PhaseRun
    from riskops.services import phases

    return partial(phases.request_step, run=PhaseRun.objects.get(pk=run), by=_person(by), at=at)


def _sign(request: int, by: str, role: str, at: datetime) -> Callable[[], object]:
    from riskops.services import phases

    return partial(
        phases.sign,
        request_id=request, by=_person(by), role=role, approves=True, note="", digest=_digest(request), at=at,
    )  # fmt: skip


def _decide(request: int, by: str, decision: str, at: datetime) -> Callable[[], object]:
    from riskops.domain.steps import Decision
    from riskops.services import phases

    return partial(
        phases.decide,
        request_id=request, by=_person(by), decision=Decision(decision), notes="decided in a race",
        digest=_digest(request), at=at,
    )  # fmt: skip


def _withdraw(request: int, by: str, at: datetime) -> Callable[[], object]:
    from riskops.services import phases

    return partial(phases.withdraw, request_id=request, by=_person(by), at=at)


def _untick(request: int, by: str, item: str, at: datetime) -> Callable[[], object]:
    from riskops.services import phases

    return partial(phases.tick, request_id=request, by=_person(by), item=item, done=False, note="", at=at)


def _judge_a_crit(run: int, at: datetime) -> Callable[[], object]:
    from riskops.models import PhaseRun
    from riskops.services import phases
    from trading.domain.events import Severity
    from trading.services import alerts

    judged = PhaseRun.objects.select_related("account").get(pk=run)

    def act() -> None:
        alerts.raise_alert(
            account=judged.account, severity=Severity.CRIT, code="GHOST_ORDER", message="gc-1 is gone", at=at
        )
        phases.heed_alerts(run=judged, at=at)
        phases.judge(run=judged, at=at)

    return act


def _prove(by: str, password: str, code: str, then: Deed) -> Callable[[], object]:
    from riskops.services import step_up

    person, deed = _person(by), DEEDS[then[0]](**then[1])

    def act() -> None:
        step_up.prove(person=person, password=password, code=code)
        deed()

    return act


def _person(name: str) -> Any:
    from django.contrib.auth.models import User

    return User.objects.get(username=name)


def _digest(request: int) -> str:
    from riskops.models import StepRequest

    return StepRequest.objects.get(pk=request).digest


DEEDS: Final[Mapping[str, Callable[..., Callable[[], object]]]] = {
    "begin": _begin,
    "ask": _ask,
    "sign": _sign,
    "decide": _decide,
    "withdraw": _withdraw,
    "untick": _untick,
    "judge a CRIT": _judge_a_crit,
    "prove": _prove,
}
