"""The backtest lab: lay a grid, see its levels, run it, read what came of it, compare runs."""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from trading.backtest_page import standing_alone
from trading.domain import queues
from trading.domain.backtest_figures import captions, compared, figures
from trading.domain.backtest_settings import (
    FIELDS,
    LONGEST_TEXT,
    OF_A_CAMPAIGN,
    BacktestSettings,
    Fill,
    Mode,
    Prices,
    UnusableSettings,
    Wrong,
    read,
)
from trading.domain.grid import Spacing
from trading.domain.grids import Carried, Kind
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle
from trading.domain.people import DESK
from trading.http import OperatorRequest
from trading.models import Backtest
from trading.permissions import only
from trading.selectors import backtests as selected
from trading.selectors.frame import Frame
from trading.services import backtests, refusals
from trading.simulator import listing
from trading.views import page, with_frame

LONGEST_TYPED: Final = LONGEST_TEXT + 1  # characters of a field that are looked at: one too many is refused
WAIT_S: Final = 1.0  # a run that is done by then is shown at once; a longer one is followed
LOOK_EVERY_S: Final = 0.015
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "grid": tuple(Spacing), "mode": tuple(Mode), "style": tuple(ExecutionStyle), "prices": tuple(Prices),
    "fill": tuple(Fill), "kind": tuple(Kind), "carried": tuple(Carried),
    "queue": tuple(map(str, queues.CHOICES)),
}  # fmt: skip


@require_safe
@with_frame
def show_lab(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the form with the levels it would lay, and the runs; whoever looks soon runs one."""
    backtests.warm()
    return _lab(request, around, typed_of(request.GET.dict()))


@require_safe
@with_frame
def show_preview(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the levels that what was typed would lay, for htmx."""
    return page(request, around, "trading/partials/backtest_preview.html", **_previewed(typed_of(request.GET.dict())))


@require_POST
@with_frame
@only(DESK, "run a backtest")
def run_backtest(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Start a backtest, and wait a moment for it: most are done before a page could ask again."""
    typed = typed_of(request.POST.dict())
    try:
        settings = settings_of(typed)
        asked = backtests.ask(settings=settings, by=request.user.username, at=now())
    except (UnusableSettings, backtests.UnableToAsk) as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error)[:300], at=now())
        wrong = error.wrong if isinstance(error, UnusableSettings) else (Wrong("", str(error)),)
        return _lab(request, around, typed, wrong=wrong)
    _wait(asked.pk)
    return redirect("trading:backtest", run_id=asked.pk)


@require_safe
@with_frame
def show_backtest(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Show one run: what came of it, or how far it is; a search that is done has a page of its own."""
    run = _run(run_id)
    if run.state == Backtest.State.DONE and run.plan is not None:
        return redirect("trading:search", run_id=run.pk)
    if run.state != Backtest.State.DONE:
        return page(request, around, "trading/backtest_open.html", **_following(run))
    return page(
        request, around, "trading/backtest.html", result=selected.result(run), charts=captions(run.facts or {}),
        others=selected.others(run), most_shown=max((row["buys"] + row["sells"] for row in _levels(run)), default=0),
    )  # fmt: skip


@require_safe
@with_frame
def follow_backtest(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Show how far a run is, for htmx; once it has ended the page is loaded anew."""
    run = _run(run_id)
    response = page(request, around, "trading/partials/backtest_progress.html", **_following(run))
    if selected.ended(run.pk):
        response["HX-Refresh"] = "true"
    return response


@require_POST
@with_frame
@only(DESK, "cancel a backtest")
def cancel_backtest(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """End a run that has not ended."""
    _run(run_id)
    try:
        backtests.cancel(run_id=run_id, by=request.user.username, at=now())
    except backtests.UnableToCancel as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error), at=now())
        messages.error(request, f"Nothing was changed. {error}")
    else:
        messages.success(request, f"Asked backtest {run_id} to end.")
    return redirect("trading:backtest", run_id=run_id)


@require_safe
@with_frame
def backtest_figures(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """Return the charts of one run."""
    _, facts, curves = _done(run_id)
    return JsonResponse(figures(curves, facts, facts["quote"]))


@require_safe
@with_frame
def export_backtest(request: OperatorRequest, around: Frame, run_id: int, kind: str) -> HttpResponse:
    """Return one run as a page that opens from disk, or as JSON."""
    run, facts, curves = _done(run_id)
    if kind == "html":
        response = HttpResponse(standing_alone(facts, curves), content_type="text/html; charset=utf-8")
    else:
        response = JsonResponse(facts, json_dumps_params={"indent": 1})
    response["Content-Disposition"] = f'attachment; filename="gridconsole-backtest-{run.pk}.{kind}"'
    return response


@require_safe
@with_frame
def compare_backtests(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show two runs or more side by side."""
    chosen = [selected.result(run) for run, _, _ in selected.told(_chosen(request))]
    query = "&".join(f"run={one.run.pk}" for one in chosen)
    more = selected.difference(chosen[0], chosen[1]) if len(chosen) == 2 else {}
    return page(
        request, around, "trading/backtest_compare.html", results=chosen, query=query, difference=more,
        settings=_side_by_side(chosen), most=selected.COMPARED,
    )  # fmt: skip


@require_safe
@with_frame
def compared_figures(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Return the charts of the runs that are compared."""
    found = selected.told(_chosen(request))
    return JsonResponse(compared([(f"Run {run.pk}", curves) for run, _, curves in found]))


# --- parts ------------------------------------------------------------------------------------------------------------


def _lab(
    request: OperatorRequest, around: Frame, typed: dict[str, str], *, wrong: tuple[Wrong, ...] = ()
) -> HttpResponse:
    roles = set(request.user.groups.values_list("name", flat=True))
    response = page(
        request, around, "trading/backtests.html", **{**_previewed(typed), **({"wrong": wrong} if wrong else {})},
        sources=selected.sources(), choices=CHOICES, runs=selected.runs(), may_run=bool(roles & DESK),
    )  # fmt: skip
    response.status_code = 422 if wrong else 200
    return response


def typed_of(given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the form as they were typed; a source is data and symbol in one, `also` has more symbols."""
    typed = {name: given.get(name, "").strip()[:LONGEST_TYPED] for name in FIELDS}
    data, _, symbol = given.get("source", "").partition("|")
    symbols = ",".join(filter(None, (symbol[:20], given.get("also", "").strip()[:200])))
    typed |= {"data": data[:200], "symbol": symbols} if symbol else {}
    defaults = BacktestSettings()
    return typed | {"data": typed["data"] or defaults.data, "symbol": typed["symbol"] or defaults.symbol}


def settings_of(typed: Mapping[str, str]) -> BacktestSettings:
    """Return the settings that were typed; every symbol must name a recording that is known here.

    Raises:
        UnusableSettings: something typed cannot be used.
    """
    settings = read(typed)
    known = selected.sources_of(settings)
    missing = [symbol for symbol, of in zip(settings.symbols, known, strict=True) if of is None]
    if not missing:
        if wrong := selected.queues_at_odds(settings):
            raise UnusableSettings(*wrong)
        return settings
    if len(known) == 1:
        raise UnusableSettings(Wrong("data", "is no recording that is known here; choose one from the list."))
    text = f"has {', '.join(missing)} in no recording of that name; choose among those of the list."
    raise UnusableSettings(Wrong("symbol", text))


def _previewed(typed: Mapping[str, str]) -> dict[str, Any]:
    plain = BacktestSettings().as_json()
    moves = any(typed[name] not in ("", plain[name]) for name in OF_A_CAMPAIGN)
    chosen, _, also = typed["symbol"].partition(",")
    shown: dict[str, Any] = {
        "moves": moves,
        "chosen": chosen,
        "also": also,
        "typed": typed,
        "wrong": (),
        "previews": (),
        "missing": None,
        "defaults": BacktestSettings(),
    }
    try:
        settings = settings_of(typed)
        shown["previews"] = seen = selected.previews(settings, _instruments())
        shown["missing"] = selected.missing(settings, seen) if also else None
    except UnusableSettings as error:
        shown["wrong"] = error.wrong
    return shown


@lru_cache(maxsize=1)
def _instruments() -> dict[str, Instrument]:
    return listing.load().instruments


def _wait(run_id: int) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and not selected.ended(run_id):
        time.sleep(LOOK_EVERY_S)


def _run(run_id: int) -> Backtest:
    run = selected.run(run_id)
    if run is None:
        raise Http404(f"There is no backtest {run_id}.")
    return run


def _done(run_id: int) -> tuple[Backtest, dict[str, Any], dict[str, Any]]:
    found = selected.told([run_id])
    if not found:
        raise Http404(f"There is no backtest {run_id} that is done.")
    return found[0]


def _levels(run: Backtest) -> list[Mapping[str, Any]]:
    facts = run.facts or {}
    return [row for one in facts.get("symbols", [facts]) for row in one.get("per_level", [])]


def _following(run: Backtest) -> dict[str, Any]:
    title = selected.title_of(run)
    return {"run": run, "title": title, "percent": round(run.progress * 100), "since": selected.waits_since(run, now())}


def _chosen(request: OperatorRequest) -> list[int]:
    named = [text for text in request.GET.getlist("run") if text.isascii() and text.isdecimal() and len(text) <= 12]
    return list(dict.fromkeys(map(int, named)))[: selected.COMPARED]


def _side_by_side(results: list[selected.Result]) -> list[tuple[str, list[str], bool]]:
    """Return (setting, its value in each run, whether they differ)."""
    columns = [{"Data": f"{one.data['symbol']}, {one.data['name']}", **dict(one.settings)} for one in results]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [column.get(name, "\N{EM DASH}") for column in columns]) for name in names]
    return [(name, values, len(set(values)) > 1) for name, values in rows]
