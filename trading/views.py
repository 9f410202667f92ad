"""The pages of operation: overview, symbols, orders, alerts; and what people change from them."""

import time
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from trading import charts
from trading.domain.grids import Problem
from trading.domain.orders import OrderStatus, Side
from trading.domain.people import DESK, OPERATORS
from trading.http import DESK_IN_SESSION, OperatorRequest, View, signed_in, wants_partial
from trading.permissions import only
from trading.selectors import alerts as alert_selectors
from trading.selectors import desks, exports, grid_edit, market_store, overview, reconciliation, searches, symbols
from trading.selectors import orders as order_selectors
from trading.selectors.frame import DATASETS, SPEEDS, Frame, frame
from trading.selectors.numbers import Cell
from trading.services import alerts, foreign_orders, grids, refusals, replay

SHORT: Final = 8  # lines of a list beside other things
EVENTS: Final = 60  # lines of the event list on its own page


def with_frame(view: View) -> View:
    """Give the view the frame of the desk that this session looks at; without any desk show how to make one."""

    @wraps(view)
    def framed(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        around = frame(request.session.get(DESK_IN_SESSION), now(), request.user)
        if around is None:
            return render(request, "trading/no_desk.html", {"desks_exist": bool(desks.all_desks())}, status=503)
        return view(request, around, *args, **kwargs)

    return signed_in(never_cache(framed))


def page(request: OperatorRequest, around: Frame, template: str, **context: Any) -> HttpResponse:
    """Render `template` inside the frame."""
    shared = {"frame": around, "speeds": SPEEDS, "datasets": DATASETS, "now": now()}
    return render(request, template, {**shared, **context})


@require_safe
@with_frame
def show_overview(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the overview of one desk."""
    rows = overview.symbol_rows(around)
    return page(
        request,
        around,
        "trading/overview.html",
        kpis=overview.kpis(around),
        rows=rows,
        chart_symbol=_chosen_symbol(request, [row.symbol for row in rows]),
        grid_count=overview.grid_count(around.account),
        gate=overview.gate_card(around.mandate),
        engine=overview.engine_lines(around),
        alerts=alert_selectors.alert_lines(around.account, "open", SHORT),
        happenings=alert_selectors.happenings(around.account, SHORT),
    )


@require_safe
@with_frame
def show_symbols(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the grids of one desk, one of them in full."""
    rows = overview.symbol_rows(around)
    symbol = _chosen_symbol(request, [row.symbol for row in rows])
    grid = symbols.page(around.account, symbol, around.values, now()) if symbol else None
    row = next((row for row in rows if row.symbol == symbol), None)
    template = "trading/partials/grid.html" if wants_partial(request) else "trading/symbols.html"
    return page(
        request,
        around,
        template,
        rows=rows,
        row=row,
        grid=grid,
        candidate=searches.candidate(around.account, symbol) if symbol else None,
        chart_symbol=symbol,
        grid_count=overview.grid_count(around.account),
    )


@require_safe
@with_frame
def show_ladder(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Show the ladder of one grid, for htmx."""
    grid = symbols.page(around.account, symbol, around.values, now())
    if grid is None:
        raise Http404(f"{around.account.name} runs no grid on {symbol}.")
    return page(request, around, "trading/partials/ladder.html", grid=grid)


@require_safe
@with_frame
def show_grid_edit(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Show a running grid as a form, with what the typed one would be and what changing to it does."""
    return _grid_edit(request, around, symbol, request.GET.dict())


@require_safe
@with_frame
def show_grid_change(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Show what the typed grid would be and do, for htmx."""
    edit = grid_edit.page(around.account, symbol, request.GET.dict(), around.values, now())
    if edit is None:
        raise Http404(f"{around.account.name} runs no grid on {symbol}.")
    return page(request, around, "trading/partials/grid_change.html", edit=edit)


@require_POST
@with_frame
@only(OPERATORS, "edit a grid")
def edit_grid(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Put the typed grid in force."""
    given = request.POST.dict()
    listed = desks.instruments_of(around.account).get(symbol)
    touch = None if listed is None else grid_edit.touch_of(symbol, listed.instrument, around.values, time.time_ns())
    words = {one.name: given.get(one.name, "").strip()[:40] for one in grid_edit.FIELDS}
    try:
        grids.edit(
            account=around.account, symbol=symbol, words=words, seen=given.get("seen", ""), touch=touch,
            by=request.user.username, at=now(),
        )  # fmt: skip
    except grids.UnableToEdit as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error)[:300], at=now())
        return _grid_edit(request, around, symbol, given, wrong=error.problems)
    messages.success(request, f"The grid on {symbol} is changed; the loop takes it up within a second.")
    return redirect(f"{reverse('trading:symbols')}?{urlencode({'symbol': symbol})}")


def _grid_edit(
    request: OperatorRequest, around: Frame, symbol: str, given: dict[str, str], wrong: tuple[Problem, ...] = ()
) -> HttpResponse:
    edit = grid_edit.page(around.account, symbol, given, around.values, now(), wrong)
    if edit is None:
        raise Http404(f"{around.account.name} runs no grid on {symbol}.")
    roles = set(request.user.groups.values_list("name", flat=True))
    response = page(
        request, around, "trading/grid_edit.html", edit=edit, may_edit=bool(roles & OPERATORS), chart_symbol=symbol
    )
    response.status_code = 422 if wrong else 200
    return response


@require_safe
@with_frame
def show_orders(request: OperatorRequest, around: Frame, tab: str) -> HttpResponse:
    """Show one tab of orders and fills: filtered, sorted, paged by cursor."""
    query = _query(request, tab)
    try:
        found = order_selectors.page(around.account, order_selectors.TABS[tab], query)
    except order_selectors.UnreadableCursor as error:
        raise BadRequest(f"This page address cannot be used: {error}. Start from the first page.") from error
    template = "trading/partials/order_rows.html" if wants_partial(request) else "trading/orders.html"
    return page(
        request,
        around,
        template,
        tab=order_selectors.TABS[tab],
        tabs=order_selectors.TABS.values(),
        counts=order_selectors.counts(around.account),
        query=query,
        found=found,
        columns=_columns(order_selectors.TABS[tab], query),
        symbols=[grid.symbol for grid in desks.grids_of(around.account)],
        sides=list(Side),
        statuses=list(OrderStatus),
        filter_query=_filter_query(query),
        next_query=_filter_query(query, cursor=found.next_cursor),
    )


@require_safe
@with_frame
def show_reconciliation(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show how our books compare with the venue's."""
    return _reconciliation(request, around)


@require_safe
@with_frame
def show_proofs(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show how old the proof of each desk is and what differs, for htmx."""
    return page(request, around, "trading/partials/proofs.html", **_proofs(around))


@require_POST
@with_frame
@only(OPERATORS, "decide about an order of others")
def decide_foreign(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Have one order that is not ours cancelled or adopted, or leave it."""
    choices = {"cancel": foreign_orders.cancel, "adopt": foreign_orders.adopt, "leave": foreign_orders.leave}
    name, decide = request.POST.get("order", ""), choices.get(request.POST.get("choice", ""))
    try:
        if decide is None:
            raise foreign_orders.UnableToDecide("Nothing was decided: choose Cancel, Adopt or Leave it.")
        decided = decide(account=around.account, client_order_id=name, by=request.user.username, at=now())
    except foreign_orders.UnableToDecide as error:
        messages.error(request, str(error))
    else:
        asked = f"Asked the execution loop to {decided.choice.lower()} {name}."
        messages.success(request, f"{name} is left alone." if decided.choice == "LEAVE" else asked)
    return (
        _reconciliation(request, around, toast=True) if wants_partial(request) else redirect("trading:reconciliation")
    )


def _reconciliation(request: OperatorRequest, around: Frame, *, toast: bool = False) -> HttpResponse:
    """Render the room, or only what its events and its forms swap."""
    template = "trading/partials/reconciliations.html" if wants_partial(request) else "trading/reconciliation.html"
    return page(
        request,
        around,
        template,
        tabs=order_selectors.TABS.values(),
        counts=order_selectors.counts(around.account),
        rows=order_selectors.reconciliations(around.account),
        toast=toast,
        **_proofs(around),
    )


def _proofs(around: Frame) -> dict[str, Any]:
    at = now()
    return {
        "proofs": reconciliation.proofs(around.desks, at),
        "room": reconciliation.room(around.account, at),
        "read": _reconcile_cells(around),
    }


@require_safe
@with_frame
def export_orders(request: OperatorRequest, around: Frame, tab: str) -> HttpResponse:
    """Return the rows of a tab as CSV, under the same filter."""
    found = order_selectors.export(around.account, order_selectors.TABS[tab], _query(request, tab))
    response = HttpResponse(exports.as_csv(found, fills=tab == "fills"), content_type="text/csv; charset=utf-8")
    name = f"gridconsole-{around.account.slug}-{tab}-{now():%Y%m%dT%H%M%SZ}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@with_frame
def show_data(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show what market history is stored, with its holes."""
    return page(request, around, "trading/data.html", data=market_store.page())


@require_safe
@with_frame
def show_panel(request: OperatorRequest, around: Frame, panel: str) -> HttpResponse:
    """Show one section that htmx fetches alone: alerts, events, the state bar, the alert count."""
    show: alert_selectors.Show = "all" if request.GET.get("show") == "all" else "open"
    short = bool(request.GET.get("short"))
    context: dict[str, Any] = {"show": show, "short": short}
    if panel == "alerts":
        limit = SHORT if short else alert_selectors.PAGE
        context["alerts"] = alert_selectors.alert_lines(around.account, show, limit)
    elif panel == "events":
        context["happenings"] = alert_selectors.happenings(around.account, SHORT if short else EVENTS)
    return page(request, around, f"trading/partials/{panel}.html", **context)


@require_POST
@with_frame
@only(OPERATORS, "acknowledge an alert")
def acknowledge(request: OperatorRequest, around: Frame, alert_id: int) -> HttpResponse:
    """Acknowledge one alert; one click, and it can be undone."""
    if not around.shows(alert_selectors.account_of(alert_id)):
        raise Http404("There is no such alert.")
    undo = {}
    try:
        alert = alerts.acknowledge(alert_id=alert_id, by=request.user, at=now())
    except alerts.UnableToAcknowledge as error:
        messages.error(request, str(error))
    else:
        undo = {
            "undo": reverse("trading:unacknowledge", args=[alert_id]),
            "undo_text": f"Acknowledged: {alert.message}",
        }
    if wants_partial(request):
        return _alerts_after(request, around, **undo)
    if undo:
        messages.success(request, undo["undo_text"])
    return redirect("trading:alerts")


@require_POST
@with_frame
@only(OPERATORS, "acknowledge an alert")
def take_back_acknowledgement(request: OperatorRequest, around: Frame, alert_id: int) -> HttpResponse:
    """Let one alert wait again."""
    if not around.shows(alert_selectors.account_of(alert_id)):
        raise Http404("There is no such alert.")
    try:
        alert = alerts.take_back_acknowledgement(alert_id=alert_id, by=request.user, at=now())
    except alerts.UnableToAcknowledge as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Waits again: {alert.message}")
    if wants_partial(request):
        return _alerts_after(request, around)
    return redirect("trading:alerts")


@require_POST
@with_frame
@only(OPERATORS, "pause or resume a symbol")
def set_paused(request: OperatorRequest, around: Frame, symbol: str, paused: bool) -> HttpResponse:
    """Pause one symbol, or let it trade again; both can be undone."""
    reason = request.POST.get("reason", "").strip()[:200] or f"paused by {request.user.username}"
    try:
        if paused:
            grids.pause(account=around.account, symbol=symbol, by=request.user.username, reason=reason, at=now())
        else:
            grids.unpause(account=around.account, symbol=symbol, by=request.user.username, at=now())
    except grids.UnableToPause as error:
        messages.error(request, str(error))
        undo = ""
    else:
        undo = reverse("trading:unpause" if paused else "trading:pause", args=[symbol])
    if not wants_partial(request):
        if undo:
            messages.success(request, f"{symbol} is paused." if paused else f"{symbol} trades again.")
        return redirect(f"{reverse('trading:symbols')}?{urlencode({'symbol': symbol})}")
    rows = overview.symbol_rows(around)
    row = next((row for row in rows if row.symbol == symbol), None)
    grid = symbols.page(around.account, symbol, around.values, now())
    return page(
        request, around, "trading/partials/pause.html", row=row, grid=grid, undo=undo, paused=paused, symbol=symbol
    )


@require_POST
@signed_in
def choose_desk(request: OperatorRequest) -> HttpResponse:
    """Remember which desk this session looks at."""
    slug = request.POST.get("desk", "")
    if slug in {desk.slug for desk in desks.visible_to(request.user)}:
        request.session[DESK_IN_SESSION] = slug
    else:
        messages.error(request, f"There is no desk {slug!r}.")
    return _back(request)


@require_POST
@with_frame
@only(DESK, "steer the replay")
def steer_replay(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Change the speed or the recording of the replay."""
    by, at = request.user.username, now()
    try:
        if dataset := request.POST.get("dataset"):
            replay.set_dataset(dataset=dataset, by=by, at=at)
            messages.success(request, f"The replay starts anew with {DATASETS.get(dataset, dataset)}.")
        else:
            speed = _whole(request.POST.get("speed", ""))
            replay.set_speed(speed=speed, by=by, at=at)
            messages.success(request, f"The replay runs at \N{MULTIPLICATION SIGN}{speed}.")
    except replay.UnableToSteer as error:
        messages.error(request, str(error))
    if wants_partial(request):
        return page(request, around, "trading/partials/replay.html", toast=True)
    return _back(request)


@require_safe
@with_frame
def price_history(request: OperatorRequest, around: Frame, symbol: str) -> HttpResponse:
    """Return what the price chart starts from."""
    if symbol not in {grid.symbol for grid in desks.grids_of(around.account)}:
        return JsonResponse({"error": f"{around.account.name} runs no grid on {symbol}."}, status=404)
    return JsonResponse(charts.price_chart(around.account, symbol, now()))


@require_safe
@with_frame
def drawdown_history(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Return what the drawdown chart shows."""
    return JsonResponse(charts.drawdown_chart(around.account, around.mandate, now()))


@require_safe
@with_frame
def recent_prices(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Return what the sparklines start from."""
    return JsonResponse(charts.recent_prices(around.account, now()))


def _alerts_after(request: OperatorRequest, around: Frame, **undo: str) -> HttpResponse:
    """Answer an acknowledgement with the list it stood in, and how to undo it."""
    short = bool(request.POST.get("short"))
    show: alert_selectors.Show = "all" if request.POST.get("show") == "all" else "open"
    lines = alert_selectors.alert_lines(around.account, show, SHORT if short else alert_selectors.PAGE)
    part = page(
        request, around, "trading/partials/alerts.html", alerts=lines, show=show, short=short, toast=True, **undo
    )
    part["HX-Trigger"] = "gc:alerts"  # whoever else shows alerts on this page
    return part


def _chosen_symbol(request: HttpRequest, known: list[str]) -> str:
    asked = request.GET.get("symbol", "")
    return asked if asked in known else known[0] if known else ""


def _query(request: HttpRequest, tab: str) -> order_selectors.Query:
    sort = request.GET.get("sort", "")
    sort = sort if sort.removeprefix("-") in order_selectors.TABS[tab].sorts else ""
    return order_selectors.Query(
        symbol=request.GET.get("symbol", "")[:20],
        side=request.GET.get("side", "")[:4],
        status=request.GET.get("status", "")[:16],
        text=request.GET.get("q", "").strip()[:60],
        sort=sort.removeprefix("-"),
        ascending=bool(sort) and not sort.startswith("-"),
        cursor=request.GET.get("cursor", "")[:400],
    )


def _filter_query(query: order_selectors.Query, **changes: str) -> str:
    """Return the query string of this filter and sorting, with `changes`."""
    sort = f"{'' if query.ascending else '-'}{query.sort}" if query.sort else ""
    wanted = {"symbol": query.symbol, "side": query.side, "status": query.status, "q": query.text, "sort": sort}
    return urlencode({name: value for name, value in {**wanted, **changes}.items() if value})


def _columns(tab: order_selectors.Tab, query: order_selectors.Query) -> list[dict[str, str]]:
    """Return title, link and direction of each column; a second click turns the direction."""
    columns: list[dict[str, str]] = []
    sorted_by = query.sort if query.sort in tab.sorts else "time"
    for name, title in tab.columns:
        current = bool(name) and name == sorted_by
        direction = ("ascending" if query.ascending else "descending") if current else ""
        turned = name if current and not query.ascending else f"-{name}"
        columns.append(
            {"title": title, "direction": direction, "link": f"?{_filter_query(query, sort=turned)}" if name else ""}
        )
    return columns


def _reconcile_cells(around: Frame) -> dict[str, Cell]:
    read = overview.Reader(around.account.slug, around.values)
    return {
        "local": read.desk("reconcile.local", 0),
        "venue": read.desk("reconcile.venue", 0),
        "at": read.desk("reconcile.at", 0),
        "clean": read.desk("reconcile.clean", 0),
    }


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise replay.UnableToSteer("Choose a speed from the list.") from None


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the page the form stood on, if it is ours."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}):
        target = reverse("trading:overview")
    return HttpResponseRedirect(target)
