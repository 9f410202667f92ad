"""Reports: the list, one report with its charts and downloads, the summary, the planner, the tax report, compliance."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.compliance import KEEPERS
from riskops.domain.figures import FIGURES
from riskops.domain.periods import Kind, UnknownPeriod
from riskops.domain.planner import ESTIMATES, PROJECTED_ANNUAL, PROJECTED_MONTHLY
from riskops.forms import CostForm, ItemForm, ItemTickForm, ScenarioForm, TaxForm
from riskops.selectors import compliance as items
from riskops.selectors import planner, report_summary, reports, tax
from riskops.services import compliance
from riskops.views.answers import Answers
from riskops.views.framing import page, with_frame
from trading.domain.people import Role
from trading.domain.tax import Method
from trading.http import OperatorRequest
from trading.permissions import only
from trading.selectors import exports
from trading.selectors.frame import Frame

UNABLE: Final = (compliance.UnableToKeep,)
BOOKKEEPERS: Final = frozenset({Role.TRADING_LEAD, Role.ENGINEER, Role.CTO, Role.CEO})


@require_safe
@with_frame
def show_reports(request: OperatorRequest, around: Frame) -> HttpResponse:
    """List the reports of the desk, and what is to be seen to."""
    at = now()
    running, stored = reports.index(around.account, at)
    return page(
        request, around, "riskops/reports.html", running=running, stored=stored, year=at.astimezone(UTC).year,
        **_items(request, around, at),
    )  # fmt: skip


@require_safe
@with_frame
def show_summary(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the desk on one page."""
    found = report_summary.summary(around.account, now())
    return page(request, around, "riskops/report_summary.html", summary=found)


@require_safe
@with_frame
def show_report(request: OperatorRequest, around: Frame, kind: str, period: str) -> HttpResponse:
    """Show one report; with `check` it is made once more and compared with what was stored."""
    at = now()
    loaded = _loaded(around, kind, period)
    checked = reports.check(around.account, loaded) if "check" in request.GET else None
    return page(
        request, around, "riskops/report.html", report=reports.page(loaded), loaded=loaded, facts=loaded.facts,
        checked=checked, tables=[name for name in reports.TABLES if loaded.facts[name]], **_items(request, around, at),
    )  # fmt: skip


@require_safe
@with_frame
def report_figures(request: OperatorRequest, around: Frame, kind: str, period: str) -> HttpResponse:
    """Return the charts of one report."""
    facts = _loaded(around, kind, period).facts
    return JsonResponse({name: draw(facts) for name, draw in FIGURES.items()})


@require_safe
@with_frame
def export_json(request: OperatorRequest, around: Frame, kind: str, period: str) -> HttpResponse:
    """Return one report with its digest."""
    loaded = _loaded(around, kind, period)
    digest = loaded.stored.digest if loaded.stored else None
    response = JsonResponse(
        {"digest": digest, "closed": loaded.closed, "facts": loaded.facts}, json_dumps_params={"indent": 1}
    )
    return _attached(response, f"{loaded.file_name}.json")


@require_safe
@with_frame
def export_table(request: OperatorRequest, around: Frame, kind: str, period: str, table: str) -> HttpResponse:
    """Return one table of a report as CSV."""
    if table not in reports.TABLES:
        raise Http404(f"A report has no table {table!r}.")
    loaded = _loaded(around, kind, period)
    return _csv(exports.table(*reports.table(loaded.facts, table)), f"{loaded.file_name}-{table}.csv")


@require_safe
@with_frame
def show_tax(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the disposals of a year; without a year and a method it is this one by FIFO."""
    form, year, method = _tax_form(request)
    return page(
        request, around, "riskops/tax.html", status=422 if form.errors else 200, form=form,
        tax=tax.tax_page(around.account, year, method),
    )  # fmt: skip


@require_safe
@with_frame
def export_tax(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Return every disposal of a year as CSV."""
    form, year, method = _tax_form(request)
    if form.errors:
        return redirect("riskops:tax")
    rows = tax.tax_rows(around.account, year, method)
    name = f"gridconsole-{around.account.slug}-tax-{year}-{method.value.lower()}.csv"
    return _csv(exports.table(tax.TAX_HEADER, rows), name)


@require_safe
@with_frame
def show_planner(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the roadmap's projection beside what was measured; a scenario only of what was typed."""
    form, assumed = _scenario(request)
    bills, sums = planner.costs(around.account, now())
    return page(
        request, around, "riskops/planner.html", status=422 if form.is_bound and form.errors else 200,
        plan=planner.plan(around.account, now(), **assumed), form=form, bills=bills, sums=sums, estimates=ESTIMATES,
        projected_monthly=_range(PROJECTED_MONTHLY), projected_annual=_range(PROJECTED_ANNUAL),
        query=request.GET.urlencode(), may_enter=bool(_roles(request) & BOOKKEEPERS),
    )  # fmt: skip


@require_safe
@with_frame
def planner_figure(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Return the chart of the planner."""
    _, assumed = _scenario(request)
    return JsonResponse({"paths": planner.plan(around.account, now(), **assumed).figure})


@require_POST
@with_frame
@only(BOOKKEEPERS, "enter a bill")
def enter_cost(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Enter one bill."""

    def enter(**bill: Any) -> str:
        row = compliance.enter_cost(account=around.account, by=request.user, at=now(), **bill)
        return f"Entered: {row}."

    return Answers(request, "riskops:planner", UNABLE).obey(CostForm(request.POST), enter)


@require_POST
@with_frame
@only(KEEPERS, "keep compliance items")
def add_item(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Add an item with its date."""

    def add(**item: Any) -> str:
        row = compliance.add(account=around.account, by=request.user, at=now(), **item)
        return f"Added: {row}."

    return Answers(request, "riskops:reports", UNABLE).obey(ItemForm(request.POST), add)


@require_POST
@with_frame
@only(KEEPERS, "keep compliance items")
def tick_compliance(request: OperatorRequest, around: Frame, item_id: int) -> HttpResponse:
    """Say that an item is done, or take that back."""

    def tick(done: str, note: str) -> str:
        row = compliance.tick(
            account=around.account, item_id=item_id, by=request.user, done=done == "yes", note=note, at=now()
        )
        return f"{'Done' if row.done else 'Not done'}: {row.item.title}."

    return Answers(request, "riskops:reports", UNABLE).obey(ItemTickForm(request.POST), tick)


def _loaded(around: Frame, kind: str, period: str) -> reports.Loaded:
    try:
        return reports.load(around.account, Kind(kind), period, now())
    except UnknownPeriod as error:
        raise Http404(str(error)) from error
    except ValueError as error:
        raise Http404(f"{kind!r} is no kind of report; there are {', '.join(Kind)}.") from error


def _items(request: OperatorRequest, around: Frame, at: datetime) -> dict[str, Any]:
    return {"items": items.items(around.account, at), "may_keep": bool(_roles(request) & KEEPERS)}


def _tax_form(request: OperatorRequest) -> tuple[TaxForm, int, Method]:
    this_year = now().astimezone(UTC).year
    given = {"year": str(this_year), "method": Method.FIFO.value, **request.GET.dict()}
    form = TaxForm(given)
    if form.is_valid():
        return form, form.cleaned_data["year"], Method(form.cleaned_data["method"])
    return form, this_year, Method.FIFO


def _scenario(request: OperatorRequest) -> tuple[ScenarioForm, dict[str, Any]]:
    """Return the form, and what was assumed; of a form that is wrong or empty nothing."""
    if "percent" not in request.GET:
        return ScenarioForm(initial={"months": 12}), {}
    form = ScenarioForm(request.GET)
    if not form.is_valid():
        return form, {}
    return form, {
        "monthly_return": form.cleaned_data["percent"] / 100,
        "monthly_costs": form.cleaned_data["costs"] or Decimal(0),
        "months": form.cleaned_data["months"],
    }


def _range(bounds: tuple[Decimal, Decimal]) -> str:
    low, high = bounds
    return f"{low * 100:.0f}\N{EN DASH}{high * 100:.0f} %"


def _roles(request: OperatorRequest) -> set[str]:
    return set(request.user.groups.values_list("name", flat=True))


def _csv(text: str, name: str) -> HttpResponse:
    return _attached(HttpResponse(text, content_type="text/csv; charset=utf-8"), name)


def _attached(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
