"""Searches in the backtest lab: ask for one, read what it found, propose a trial for the grid of a paper account."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, Wrong
from trading.domain.people import DESK, OPERATORS
from trading.domain.search_figures import METRICS, front, heat
from trading.domain.search_plan import FIELDS, Method, Plan, Split, read_plan
from trading.domain.search_space import VARIABLE
from trading.http import OperatorRequest
from trading.lab_views import CHOICES, settings_of, typed_of
from trading.permissions import only
from trading.selectors import backtests as selected
from trading.selectors import searches
from trading.selectors.frame import Frame
from trading.services import backtests, candidates, refusals
from trading.views import page, with_frame

EXAMPLE: Final = "levels = 8..20 by 4\nstep = 0.0004..0.002 log in 5"
LONGEST: Final = 2_000  # characters of what is varied
PLANS: Final[Mapping[str, tuple[str, ...]]] = {"method": tuple(Method), "split": tuple(Split)}


@require_safe
@with_frame
def show_form(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the form of a search."""
    backtests.warm()
    return _form(request, around, request.GET.dict())


@require_POST
@with_frame
@only(DESK, "run a search")
def run_search(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Start a search; its page follows it."""
    given = request.POST.dict()
    try:
        settings = settings_of(typed_of(given))
        plan = read_plan({**_planned(given), "vary": _varied(given.get("vary", ""))}, settings)
        asked = backtests.ask(settings=settings, plan=plan, by=request.user.username, at=now())
    except (UnusableSettings, backtests.UnableToAsk) as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error)[:300], at=now())
        wrong = error.wrong if isinstance(error, UnusableSettings) else (Wrong("", str(error)),)
        return _form(request, around, given, wrong=wrong)
    return redirect("trading:backtest", run_id=asked.pk)


@require_safe
@with_frame
def show_search(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Show what a search found."""
    run, facts, rows = _done(run_id)
    axes = _axes(request, facts)
    return page(
        request, around, "trading/search.html", search=searches.page(run, facts, rows), chosen=axes, metrics=METRICS,
        query=urlencode(axes), may_adopt=_may_adopt(request, around), is_paper=around.account.mode == "PAPER",
    )  # fmt: skip


@require_safe
@with_frame
def search_figures(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Return the charts of a search."""
    _, facts, rows = _done(run_id)
    axes = _axes(request, facts)
    return JsonResponse({"heat": heat(rows, **axes), "front": front(rows, facts["pareto"])})


@require_safe
@with_frame
def export_search(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Return a search with every trial as JSON."""
    run, facts, rows = _done(run_id)
    response = JsonResponse({**facts, "trials": rows}, json_dumps_params={"indent": 1})
    response["Content-Disposition"] = f'attachment; filename="gridconsole-search-{run.pk}.json"'
    return response


@require_POST
@with_frame
@only(OPERATORS, "adopt a trial")
def adopt_trial(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Propose a trial for the grid of the paper account that is looked at."""
    _done(run_id)
    given = request.POST.get("trial", "")
    number = int(given) if given.isascii() and given.isdecimal() and len(given) <= 6 else -1
    try:
        found = searches.trial(run_id, number)
        if found is None:
            raise candidates.UnableToAdopt(f"There is no trial {given[:20]!a} of search {run_id} that was run.")
        facts, settings = found
        made = candidates.adopt(
            account=around.account, settings=settings, search=run_id, trial=number, found=facts,
            by=request.user.username, at=now(),
        )  # fmt: skip
    except candidates.UnableToAdopt as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error)[:300], at=now())
        messages.error(request, f"Nothing was changed. {error}")
        return redirect("trading:search", run_id=run_id)
    text = f"Trial {number} is the candidate for {made.symbol} of {around.account.name}. "
    messages.success(request, f"{text}The desk takes it up when it next starts and holds nothing of {made.symbol}.")
    return redirect(f"{reverse('trading:symbols')}?{urlencode({'symbol': made.symbol})}")


@require_POST
@with_frame
@only(OPERATORS, "withdraw a candidate")
def withdraw_candidate(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Take back what was proposed for a grid."""
    try:
        candidates.withdraw(account=around.account, symbol=symbol, by=request.user.username, at=now())
    except candidates.UnableToAdopt as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error)[:300], at=now())
        messages.error(request, f"Nothing was changed. {error}")
    else:
        messages.success(request, f"The candidate for {symbol} is withdrawn; the grid stays as it is.")
    return redirect(f"{reverse('trading:symbols')}?{urlencode({'symbol': symbol})}")


# --- parts ------------------------------------------------------------------------------------------------------------


def _form(
    request: OperatorRequest, around: Frame, given: Mapping[str, str], *, wrong: tuple[Wrong, ...] = ()
) -> HttpResponse:
    roles = set(request.user.groups.values_list("name", flat=True))
    sources = [one for one in selected.sources() if not one.is_book]
    response = page(
        request, around, "trading/search_form.html", typed=typed_of(given), planned=_planned(given), wrong=wrong,
        vary=given.get("vary", EXAMPLE)[:LONGEST], sources=sources, choices={**CHOICES, **PLANS},
        defaults=BacktestSettings(), plan=Plan(), variable=VARIABLE, may_run=bool(roles & DESK),
    )  # fmt: skip
    response.status_code = 422 if wrong else 200
    return response


def _planned(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "").strip()[:200] for name in FIELDS}


def _varied(text: str) -> dict[str, str]:
    """Return what each line "name = values" varies.

    Raises:
        UnusableSettings: a line names nothing, or a setting comes twice.
    """
    found, wrong = dict[str, str](), list[Wrong]()
    if len(text) > LONGEST:
        raise UnusableSettings(Wrong("vary", f"has more than {LONGEST} characters; vary less at once."))
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, values = (part.strip() for part in line.partition("="))
        if not equals or name in found:
            why = "comes twice" if name in found else "has no values"
            wrong.append(Wrong("vary", f"{line[:60]!a} {why}; write each setting on one line, levels = 8..20 by 4."))
        found[name] = values
    if wrong:
        raise UnusableSettings(*wrong)
    return found


def _done(run_id: int) -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    found = searches.done(run_id)
    if found is None:
        raise Http404(f"There is no search {run_id} that is done.")
    return found


def _axes(request: OperatorRequest, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return which two parameters are drawn, and what of each pair: as asked, else the first ones."""
    known = sorted(facts["plan"]["vary"])
    across = request.GET.get("across", "")
    across = across if across in known else known[0]
    others = [name for name in known if name != across] or known
    up, metric = request.GET.get("up", ""), request.GET.get("metric", "")
    return {
        "across": across,
        "up": up if up in others else others[0],
        "metric": metric if metric in METRICS else next(iter(METRICS)),
    }


def _may_adopt(request: OperatorRequest, around: Frame) -> bool:
    roles = set(request.user.groups.values_list("name", flat=True))
    return bool(roles & OPERATORS) and around.account.mode == "PAPER"
