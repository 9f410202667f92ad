"""The reports as they are read: the list, one report, the summary on a page, the planner, the tax report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from riskops import reporting
from riskops.domain import compliance, figures, planner
from riskops.domain.periods import CALENDAR, Kind, Period, containing
from riskops.domain.steps import ROADMAP, next_phase
from riskops.models import ComplianceItem, CostEntry, Incident, PhaseRun, Report
from riskops.standing import newest, template_of
from trading.domain import tax
from trading.domain.evidence import Unit
from trading.selectors import desks, evidence, reports
from trading.selectors.numbers import (
    UNKNOWN,
    duration,
    measured_value,
    percent,
    plain,
    short,
    sign,
    signed,
)

if TYPE_CHECKING:
    from trading.models import Account

LISTED: Final = 60
DISPOSALS_SHOWN: Final = 200
ITEMS_SHOWN: Final = 60  # days a ticked item stays on the page
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """One report in the list."""

    kind: str
    name: str
    since: datetime
    until: datetime
    digest: str  # "" while its period is open
    words: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """One report: as it was stored, or as it stands now."""

    period: Period
    facts: Json
    stored: Report | None
    closed: bool

    @property
    def file_name(self) -> str:
        """What a download of it is called, without its ending."""
        return f"gridconsole-{self.facts['account']}-{self.period.kind}-{self.period.name}"


@dataclass(frozen=True, slots=True)
class Money:
    """One amount with its sign for glyph and colour."""

    text: str
    sign: int


@dataclass(frozen=True, slots=True)
class FigureLine:
    """One figure of the statement."""

    label: str
    value: str
    sign: int | None  # of a profit or loss
    detail: str
    known: bool


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit beside the worst that was seen of it."""

    title: str
    limit: str
    worst: str
    state: str  # within | reached | not recorded
    detail: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart, and in words what it shows."""

    name: str
    title: str
    words: str


@dataclass(frozen=True, slots=True)
class Check:
    """A stored report made once more."""

    same: bool
    digest: str
    differs: tuple[str, ...]  # names of the parts that came out different


@dataclass(frozen=True, slots=True)
class ReportPage:
    """One report as it is read."""

    title: str
    mode: str
    quote: str
    watched: str
    in_force: str
    accelerated: bool
    coverage: str
    figures: tuple[FigureLine, ...]
    charts: tuple[Chart, ...]
    symbols: tuple[dict[str, Any], ...]
    days: tuple[dict[str, Any], ...]
    fees: tuple[dict[str, str], ...]
    fees_total: str
    limits: tuple[LimitLine, ...]
    interventions: tuple[dict[str, Any], ...]
    empty: bool


def index(account: "Account", at: datetime) -> tuple[list[Listed], list[Listed]]:
    """Return the reports of the periods that run, and the stored ones, the newest first; two queries."""
    stored = [
        Listed(row.kind, row.period, row.since, row.until, row.digest, _stored_words(row))
        for row in Report.objects.filter(account=account)[:LISTED]
    ]
    run = PhaseRun.objects.filter(account=account, ended_at=None).select_related("template").first()
    open_ = [_open(containing(kind, at), at) for kind in CALENDAR]
    if run is not None:
        running = _open(reporting.of_run(run, at), at)
        open_.append(
            Listed("phase", running.name, running.since, running.until, "", f"phase {run.template.phase} runs")
        )
    return open_, stored


def load(account: "Account", kind: Kind, name: str, at: datetime) -> Loaded:
    """Return a report as it was stored, else as it stands at `at`.

    Raises:
        UnknownPeriod: there is no such period, or it has not begun.
    """
    period = reporting.period_of(account, kind, name, at)
    stored = Report.objects.filter(account=account, kind=kind.value, period=name).first()
    if stored is not None:
        return Loaded(period, stored.facts, stored, True)
    return Loaded(period, reporting.facts(account, period, at), None, reporting.is_closed(account, period, at))


def check(account: "Account", loaded: Loaded) -> Check | None:
    """Make a stored report once more and compare; None where it is not stored."""
    if loaded.stored is None:
        return None
    mode, until = loaded.facts["mode"], loaded.stored.until
    again = reporting.facts(account, loaded.period, until, mode=mode)
    digest = reporting.digest(again)
    parts = again.keys() | loaded.facts.keys()
    differs = tuple(sorted(part for part in parts if again.get(part) != loaded.facts.get(part)))
    kept = reporting.digest(dict(loaded.facts))
    if kept != loaded.stored.digest:
        differs = ("the stored facts no longer have their digest", *differs)
    return Check(digest == loaded.stored.digest and not differs, digest, differs)


def page(loaded: Loaded) -> ReportPage:
    """Return one report as it is read."""
    facts, of = loaded.facts, loaded.facts["coverage"]
    wall = of["wall_s"]
    return ReportPage(
        title=_title(loaded),
        mode=facts["mode"],
        quote=facts["quote"],
        watched=f"{duration(of['watched_s'])} of {duration(wall)}",
        in_force=duration(of["market_s"]),
        accelerated=of["accelerated"],
        coverage=percent(Decimal(of["watched_s"]) / wall, 1) if wall else UNKNOWN,
        figures=tuple(_figure_line(row) for row in facts["figures"]),
        charts=tuple(_charts(facts)),
        symbols=tuple(_symbol_row(row) for row in facts["symbols"]),
        days=tuple(_day_row(row) for row in facts["days"]),
        fees=tuple(_fee_row(row) for row in facts["fees"]),
        fees_total=fees_total(facts),
        limits=tuple(_limit_lines(facts)),
        interventions=tuple(_interventions(facts)),
        empty=not of["watched_s"] and not facts["symbols"],
    )


def fees_total(facts: Json) -> str:
    """Return every fee in quote, or a dash where one has no known value."""
    values = [row["in_quote"] for row in facts["fees"]]
    return UNKNOWN if None in values else plain(sum(map(Decimal, values), Decimal(0)), 4)


# --- tables to take along ---------------------------------------------------------------------------------------------

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "figures": ("name", "label", "value", "unit", "samples", "detail"),
    "days": (
        "day", "equity", "pnl", "drawdown", "fills", "round_trips", "realized", "fees", "watched_s", "wall_s",
        "in_force_s", "market_s", "accelerated",
    ),
    "symbols": (
        "symbol", "fills", "bought", "sold", "realized", "grid_profit", "fees", "round_trips", "wins",
    ),
    "fees": ("asset", "amount", "in_quote"),
    "incidents": ("number", "what", "opened_at", "closed_at", "cause"),
    "halts": ("what", "by", "reason", "latched_at", "proven_clear_at", "released_at", "released_by"),
    "denials": ("code", "times"),
}  # fmt: skip
_NUMBERS: Final = frozenset({
    "value", "equity", "pnl", "drawdown", "realized", "fees", "bought", "sold", "grid_profit", "amount", "in_quote",
})  # fmt: skip


def table(facts: Json, name: str) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of one table for a CSV; every row says account, mode and period.

    Raises:
        KeyError: there is no such table.
    """
    columns = TABLES[name]
    about = [facts["account"], facts["mode"], facts["kind"], facts["period"]]
    rows = [[*about, *(_cell(column, row[column]) for column in columns)] for row in facts[name]]
    return ["account", "mode", "report", "period", *columns], rows


def _cell(column: str, value: object) -> object:
    return Decimal(value) if column in _NUMBERS and isinstance(value, str) else value


# --- compliance and costs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One compliance item."""

    id: int
    title: str
    due_on: date
    state: str
    glyph: str
    opened_by: str
    person: str
    at: datetime | None
    note: str
    done: bool


GLYPHS: Final = {
    compliance.State.DONE: "✓",
    compliance.State.LATE: "✗",
    compliance.State.SOON: "◷",
    compliance.State.OPEN: "○",
}


def items(account: "Account", at: datetime) -> list[ItemLine]:
    """Return what is open, and what was due of late, by its date; two queries."""
    today = at.astimezone(UTC).date()
    rows = ComplianceItem.objects.filter(account=account).prefetch_related("ticks__person")
    lines = [_item(row, today) for row in rows]
    return [line for line in lines if not line.done or line.due_on >= today - timedelta(days=ITEMS_SHOWN)]


def _item(row: ComplianceItem, today: date) -> ItemLine:
    last = next(reversed(row.ticks.all()), None)
    done = last is not None and last.done
    state = compliance.state(done=done, due_on=row.due_on, on=today)
    return ItemLine(
        id=row.pk,
        title=row.title,
        due_on=row.due_on,
        state=state.value,
        glyph=GLYPHS[state],
        opened_by=row.opened_by,
        person=last.person.username if last else "",
        at=last.at if last else None,
        note=last.note if last else "",
        done=done,
    )


@dataclass(frozen=True, slots=True)
class Bills:
    """What was billed in one currency."""

    currency: str
    total: str
    per_month: str


def costs(account: "Account", at: datetime) -> tuple[list[CostEntry], list[Bills]]:
    """Return the bills, the newest first, and what they come to in each currency; one query."""
    rows = list(CostEntry.objects.filter(account=account).select_related("entered_by"))
    found = []
    for currency in sorted({row.currency for row in rows}):
        mine = [row for row in rows if row.currency == currency]
        dated = [(datetime.combine(row.billed_on, datetime.min.time(), UTC), row.amount) for row in mine]
        total = sum((amount for _, amount in dated), Decimal(0))
        found.append(Bills(currency, plain(total), plain(planner.per_month(dated, at))))
    return rows, found


# --- parts ------------------------------------------------------------------------------------------------------------


def _open(period: Period, at: datetime) -> Listed:
    words = f"runs, {duration(int((at - period.since).total_seconds()))} so far"
    return Listed(period.kind.value, period.name, period.since, period.until, "", words)


def _stored_words(row: Report) -> str:
    pnl = next((one["value"] for one in row.facts["figures"] if one["name"] == "pnl_quote"), None)
    known = "P&L not known" if pnl is None else f"P&L {signed(Decimal(pnl))} {row.facts['quote']}"
    marked = ", accelerated" if row.facts["coverage"]["accelerated"] else ""
    return f"{row.facts['mode']}, {known}, watched {duration(row.facts['coverage']['watched_s'])}{marked}"


def _title(loaded: Loaded) -> str:
    if loaded.period.kind is not Kind.PHASE:
        return f"{loaded.period.kind.value.capitalize()} report {loaded.period.name}"
    phase = next((row["phase"] for row in loaded.facts["runs"] if str(row["run"]) == loaded.period.name), "")
    return f"Phase report {phase}, run {loaded.period.name}"


def _figure_line(row: Json) -> FigureLine:
    value = None if row["value"] is None else Decimal(row["value"])
    unit = Unit(row["unit"])
    is_money = unit is Unit.QUOTE or row["name"] == "monthly_return"
    return FigureLine(
        row["label"],
        measured_value(unit, value),
        sign(value, 4) if is_money else None,
        row["detail"],
        value is not None,
    )


def _charts(facts: Json) -> list[Chart]:
    equity, quote = facts["equity"], facts["quote"]
    if equity is None:
        nothing = "No equity was recorded in this period."
        found = [Chart("equity", "Equity", nothing), Chart("drawdown", "Drawdown", nothing)]
    else:
        first, last, peak, trough = (plain(Decimal(equity[name])) for name in ("first", "last", "peak", "trough"))
        words = f"Equity went from {first} to {last} {quote}; highest {peak}, lowest {trough}."
        fall = f"The deepest fall from a high was {percent(Decimal(equity['drawdown']), 3)}."
        found = [Chart("equity", "Equity", words), Chart("drawdown", "Drawdown", fall)]
    earned = ", ".join(f"{row['symbol']} {signed(Decimal(row['realized']))}" for row in facts["symbols"])
    rest = figures.unrealized(facts)
    words = f"Realised: {earned or 'nothing'}; not sold: {signed(rest)} {quote}."
    found.append(Chart("symbols", "P&L by symbol", words))
    found.append(Chart("fees", "Fees by day", f"Fees of the period: {fees_total(facts)} {quote}."))
    return found


def _money(text: str | None, decimals: int = 2) -> Money:
    value = None if text is None else Decimal(text)
    return Money(signed(value, decimals), sign(value, decimals))


def _symbol_row(row: Json) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "fills": row["fills"],
        "bought": plain(Decimal(row["bought"])),
        "sold": plain(Decimal(row["sold"])),
        "realized": _money(row["realized"], 4),
        "grid_profit": _money(row["grid_profit"], 4),
        "fees": plain(None if row["fees"] is None else Decimal(row["fees"]), 4),
        "round_trips": row["round_trips"],
        "wins": row["wins"],
    }


def _day_row(row: Json) -> dict[str, Any]:
    return {
        "day": row["day"],
        "equity": plain(None if row["equity"] is None else Decimal(row["equity"])),
        "pnl": _money(row["pnl"]),
        "drawdown": percent(None if row["drawdown"] is None else Decimal(row["drawdown"]), 3),
        "fills": row["fills"],
        "round_trips": row["round_trips"],
        "fees": plain(None if row["fees"] is None else Decimal(row["fees"]), 4),
        "watched": duration(row["watched_s"]),
        "accelerated": row["accelerated"],
    }


def _fee_row(row: Json) -> dict[str, str]:
    value = row["in_quote"]
    return {
        "asset": row["asset"],
        "amount": short(Decimal(row["amount"])),
        "in_quote": "no known value" if value is None else plain(Decimal(value), 4),
    }


def _limit_lines(facts: Json) -> list[LimitLine]:
    """Return the limits of the newest mandate of the period beside the worst that was seen under any."""
    if not facts["mandates"]:
        return []
    limits = facts["mandates"][-1]["limits"]
    seen = {row["name"]: row for row in facts["figures"]}
    deepest = seen["daily_drawdown"]
    worst = None if deepest["value"] is None else Decimal(deepest["value"])
    found = []
    for name, title in (
        ("max_daily_drawdown_fraction", "Daily drawdown, stop"),
        ("max_daily_drawdown_hard_fraction", "Daily drawdown, hard stop"),
    ):
        limit = Decimal(limits[name])
        state = "not recorded" if worst is None else "reached" if worst >= limit else "within"
        found.append(LimitLine(title, percent(limit), percent(worst, 3), state, deepest["detail"]))
    denied = {row["code"]: row["times"] for row in facts["denials"]}
    for name, title, code in (
        ("max_symbol_drawdown_fraction", "Drawdown of a symbol", "SYMBOL_DRAWDOWN"),
        ("max_position_fraction", "Position of a lot", "MAX_POSITION"),
        ("max_symbol_exposure_fraction", "Exposure of a symbol", "SYMBOL_EXPOSURE"),
        ("max_total_exposure_fraction", "Exposure in total", "TOTAL_EXPOSURE"),
        ("max_daily_trades", "Trades of a day", "DAILY_TRADES"),
        ("max_open_orders", "Open orders", "MAX_OPEN_ORDERS"),
    ):
        if limits[name] is None:
            continue
        shown = percent(Decimal(limits[name])) if name.endswith("_fraction") else short(Decimal(limits[name]))
        times = denied.get(code, 0)
        words = f"{times:,} orders were denied by it" if times else "no order was denied by it"
        found.append(LimitLine(title, shown, UNKNOWN, "reached" if times else "not recorded", words))
    return found


def _interventions(facts: Json) -> list[dict[str, Any]]:
    """Return what people did that moves a limit or a halt, oldest first."""
    found = [
        {
            "at": row["since"],
            "what": f"mandate of phase {row['phase']} put in force, capital {row['capital']}",
            "by": row["by"],
        }
        for row in facts["mandates"]
        if row["since"] >= facts["since"]
    ]
    found += [
        {
            "at": row["at"],
            "what": f"{row['decision']} on phase {row['phase']}: {row['notes'] or 'no note'}",
            "by": row["by"],
        }
        for row in facts["decisions"]
    ]
    found += [
        {"at": row["at"], "what": f"halt released: {row['reason']}", "by": f"{row['asked_by']} and {row['granted_by']}"}
        for row in facts["resumes"]
    ]
    found += [
        {"at": row["at"], "what": f"order of others on {row['symbol']}: {row['choice'].lower()}", "by": row["by"]}
        for row in facts["foreign"]
    ]
    return [{**row, "at": datetime.fromisoformat(row["at"])} for row in sorted(found, key=lambda row: row["at"])]


# --- the summary ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """One phase run in one line."""

    number: int
    phase: str
    capital: str
    since: datetime
    until: datetime | None
    lasted: str
    outcome: str
    accelerated: bool
    incidents: int
    pnl: Money
    drawdown: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole account on one page."""

    report: ReportPage  # of the run in force, else of this month
    since: datetime
    phases: tuple[PhaseLine, ...]
    pnl: Money  # of every phase together
    incidents_open: int
    incidents_all: int
    following: str
    following_words: str
    signers: str
    items: tuple[ItemLine, ...]


def summary(account: "Account", at: datetime) -> Summary:
    """Return the account on one page: ended phases out of their stored reports, the one in force as it stands."""
    runs = list(PhaseRun.objects.filter(account=account).select_related("template", "mandate").order_by("id"))
    stored = Report.objects.filter(account=account, kind=Kind.PHASE.value).values_list("period", "facts")
    facts_of: dict[str, Json] = dict(stored)
    is_running = bool(runs) and runs[-1].ended_at is None
    period = reporting.of_run(runs[-1], at) if is_running else containing(Kind.MONTHLY, at)
    now = reporting.facts(account, period, at)
    if is_running:
        facts_of[str(runs[-1].pk)] = now
    per_run, still_open = dict[int, int](), 0
    for run_id, closed_at in Incident.objects.filter(account=account).values_list("run_id", "closed_at"):
        per_run[run_id] = per_run.get(run_id, 0) + 1
        still_open += closed_at is None
    following, words, signers = _next(runs)
    earned = [_value(facts_of.get(str(run.pk)), "pnl_quote") for run in runs]
    known = [value for value in earned if value is not None]
    return Summary(
        report=page(Loaded(period, now, None, False)),
        since=period.since,
        phases=tuple(_phase_line(run, per_run.get(run.pk, 0), facts_of.get(str(run.pk)), at) for run in runs),
        pnl=_money(str(sum(known)) if known and len(known) == len(earned) else None),
        incidents_open=still_open,
        incidents_all=sum(per_run.values()),
        following=following,
        following_words=words,
        signers=signers,
        items=tuple(items(account, at)),
    )


def _value(facts: Json | None, name: str) -> Decimal | None:
    """Return one figure of a report, None where the report or the figure is not there."""
    found = next((row["value"] for row in facts["figures"] if row["name"] == name), None) if facts else None
    return None if found is None else Decimal(found)


def _phase_line(run: PhaseRun, incidents: int, facts: Json | None, at: datetime) -> PhaseLine:
    lasted = int(((run.ended_at or at) - run.started_at).total_seconds())
    earned = _value(facts, "pnl_quote")
    return PhaseLine(
        number=run.pk,
        phase=run.template.phase,
        capital=short(run.mandate.capital_quote),
        since=run.started_at,
        until=run.ended_at,
        lasted=duration(lasted),
        outcome=run.decision if run.ended_at else f"in force, {run.outcome}",
        accelerated=run.accelerated or bool(facts and facts["coverage"]["accelerated"]),
        incidents=incidents,
        pnl=_money(None if earned is None else str(earned)),
        drawdown=percent(_value(facts, "high_water_drawdown"), 3),
    )


def _next(runs: Sequence[PhaseRun]) -> tuple[str, str, str]:
    """Return the phase that comes next, what it takes, and who signs for it."""
    if not runs:
        return ROADMAP[0], "The roadmap has not begun at this desk.", ""
    last = runs[-1]
    phase = template_of(last)
    if last.ended_at is not None and last.decision != "GO":
        return phase.id, f"Phase {phase.id} is to be run again.", ""
    following = newest(next_phase(phase.id))
    if following is None:
        return "", "No phase follows: the roadmap ends here.", ""
    words = (
        f"${short(following.capital_quote)}, once phase {phase.id} has passed {phase.duration.min_hours} h in force."
    )
    return following.id, words, ", ".join(phase.signers)


# --- the planner ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """The roadmap's projection, the earliest path, the measured one, and what a person assumes."""

    begin: datetime
    projected: tuple[planner.Point, ...]
    earliest: tuple[planner.Stage, ...]
    measured: tuple[planner.Stage, ...]
    assumed: tuple[planner.Point, ...]
    monthly: FigureLine  # the measured return of a month
    quote: str
    capital: str

    @property
    def figure(self) -> dict[str, Any]:
        """The paths as a chart."""
        named = [
            ("Roadmap's projection", "--warn", "dot", _points((one.at, one.capital_quote) for one in self.projected)),
            ("Earliest by the phases' hours", "--trace", "dash", _steps(self.earliest)),
            ("Measured: capital in force", "--accent", "solid", _steps(self.measured)),
            ("Your assumption", "--up", "dashdot", _points((one.at, one.capital_quote) for one in self.assumed)),
        ]
        return figures.paths([one for one in named if one[3]], self.quote)


def plan(
    account: "Account", at: datetime, *, monthly_return: Decimal | None = None, monthly_costs: Decimal = Decimal(0),
    months: int = 12,
) -> Plan:  # fmt: skip
    """Return the paths of capital; without a return that a person typed there is no assumption.

    Raises:
        ValueError: what was assumed is beyond reason.
    """
    runs = list(PhaseRun.objects.filter(account=account).select_related("template", "mandate").order_by("id"))
    begin = runs[0].started_at if runs else at
    phases = filter(None, map(newest, ROADMAP))
    mandate = desks.mandate_in_force(account)
    capital = mandate.capital_quote if mandate else planner.YEAR_ONE[0][1]
    assumed = planner.own_path(at, capital, monthly_return, monthly_costs, months) if monthly_return is not None else []
    month = evidence.measure(account, "monthly_return", containing(Kind.MONTHLY, at).since, at)
    return Plan(
        begin=begin,
        projected=tuple(planner.year_one(begin)),
        earliest=tuple(
            planner.earliest_path(begin, [(one.id, one.capital_quote, one.duration.min_hours) for one in phases])
        ),
        measured=tuple(
            planner.Stage(run.template.phase, run.mandate.capital_quote, run.started_at, run.ended_at or at)
            for run in runs
        ),
        assumed=tuple(assumed),
        monthly=FigureLine(
            "Return per month",
            measured_value(Unit.FRACTION, month.value),
            sign(month.value, 4),
            month.detail,
            month.value is not None,
        ),
        quote=account.quote,
        capital=short(capital),
    )


def _points(found: Iterable[tuple[datetime, Decimal]]) -> list[tuple[str, str]]:
    return [(at.astimezone(UTC).isoformat(), str(amount)) for at, amount in found]


def _steps(stages: Sequence[planner.Stage]) -> list[tuple[str, str]]:
    return _points((at, one.capital_quote) for one in stages for at in (one.since, one.until) if at is not None)


# --- the tax report ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SymbolTotal:
    """The disposals of one symbol in the year."""

    symbol: str
    disposals: int
    base: str
    proceeds: str
    cost: str
    gain: Money
    unknown: int


@dataclass(frozen=True, slots=True)
class TaxPage:
    """The disposals of one year by one method."""

    year: int
    method: str
    totals: tuple[SymbolTotal, ...]
    gain: Money
    unknown: int
    fees_without_value: tuple[tuple[str, str], ...]
    shown: tuple[tax.Disposal, ...]
    count: int
    held: int


def tax_page(account: "Account", year: int, method: tax.Method) -> TaxPage:
    """Return the tax report of a year; what was bought in earlier years is known."""
    disposals, books = _disposals(account, year, method)
    symbols = sorted({one.symbol for one in disposals})
    totals = [(symbol, tax.total(one for one in disposals if one.symbol == symbol)) for symbol in symbols]
    everything = tax.total(disposals)
    return TaxPage(
        year=year,
        method=method.value,
        totals=tuple(
            SymbolTotal(
                symbol,
                of.disposals,
                short(of.base),
                plain(of.proceeds_quote, 4),
                plain(of.cost_quote, 4),
                _money(str(of.gain_quote), 4),
                of.unknown,
            )
            for symbol, of in totals
        ),
        gain=_money(str(everything.gain_quote), 4),
        unknown=everything.unknown,
        fees_without_value=tuple((asset, short(fee)) for asset, fee in sorted(books.fees_without_value.items())),
        shown=tuple(disposals[-DISPOSALS_SHOWN:][::-1]),
        count=len(disposals),
        held=len(books.held),
    )


TAX_HEADER: Final = (
    "account", "mode", "year", "method", "symbol", "acquired_at_utc", "sold_at_utc", "days_held", "quantity_base",
    "proceeds_quote", "cost_quote", "gain_quote", "quote", "buy_trade", "sale_trade",
)  # fmt: skip


def tax_rows(account: "Account", year: int, method: tax.Method) -> list[list[object]]:
    """Return every disposal of a year for a CSV; an unknown cost and its gain are empty."""
    disposals, _ = _disposals(account, year, method)
    return [
        [
            account.slug, account.mode, year, method.value, one.symbol,
            one.acquired_at.isoformat() if one.acquired_at else None, one.sold_at.isoformat(), one.days_held, one.base,
            one.proceeds_quote, one.cost_quote, one.gain_quote, account.quote, one.bought_by, one.sold_by,
        ]
        for one in disposals
    ]  # fmt: skip


def _disposals(account: "Account", year: int, method: tax.Method) -> tuple[list[tax.Disposal], tax.Books]:
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    books = tax.keep_books(reports.trades(account, end), method, account.quote)
    return [one for one in books.disposals if one.sold_at >= begin], books
