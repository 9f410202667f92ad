"""The reports as they are read and taken along: the list, and one report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from riskops import reporting
from riskops.domain import figures
from riskops.domain.periods import CALENDAR, Kind, Period, before, containing
from riskops.models import PhaseRun, Report
from trading.domain.evidence import Unit
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
    def earlier(self) -> str:
        """The name of the period before, empty for a phase."""
        return before(self.period).name if self.period.kind in CALENDAR else ""

    @property
    def later(self) -> str:
        """The name of the period that follows, empty for a phase and where this one still runs."""
        return containing(self.period.kind, self.period.until).name if self.closed and self.earlier else ""

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
        coverage=percent(min(Decimal(of["watched_s"]) / wall, Decimal(1)), 1) if wall else UNKNOWN,
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


# --- parts ------------------------------------------------------------------------------------------------------------


def _open(period: Period, at: datetime) -> Listed:
    words = f"runs, {duration(int((at - period.since).total_seconds()))} so far"
    return Listed(period.kind.value, period.name, period.since, period.until, "", words)


def _stored_words(row: Report) -> str:
    pnl = next((one["value"] for one in row.facts["figures"] if one["name"] == "pnl_quote"), None)
    known = "P&L not known" if pnl is None else f"P&L {signed(Decimal(pnl))} {row.facts['quote']}"
    marked = ", accelerated" if row.facts["coverage"]["accelerated"] else ""
    ended = [f"phase {one['phase']} {one['decision']}, " for one in row.facts["runs"] if row.kind == Kind.PHASE]
    watched = duration(row.facts["coverage"]["watched_s"])
    return f"{''.join(ended[:1])}{row.facts['mode']}, {known}, watched {watched}{marked}"


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
        if "paid_in" in equity:
            paid_in = plain(Decimal(equity["paid_in"]))
            words = f"{words[:-1]} as without any transfer. Paid in: {paid_in} {quote}, which is no profit."
        fall = f"The deepest fall from a high was {percent(Decimal(equity['drawdown']), 3)}."
        found = [Chart("equity", "Equity", words), Chart("drawdown", "Drawdown", fall)]
    earned = ", ".join(f"{row['symbol']} {signed(Decimal(row['realized']))}" for row in facts["symbols"])
    rest = figures.unrealized(facts)
    words = f"Realised: {earned or 'nothing'}; not sold: {signed(rest)} {quote}."
    found.append(Chart("symbols", "P&L by symbol", words))
    found.append(Chart("fees", "Fees by day", f"Fees of the period: {fees_total(facts)} {quote}."))
    return found


def money(text: str | None, decimals: int = 2) -> Money:
    """Return an amount of a report with its sign."""
    value = None if text is None else Decimal(text)
    return Money(signed(value, decimals), sign(value, decimals))


def _symbol_row(row: Json) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "fills": row["fills"],
        "bought": plain(Decimal(row["bought"])),
        "sold": plain(Decimal(row["sold"])),
        "realized": money(row["realized"], 4),
        "grid_profit": money(row["grid_profit"], 4),
        "fees": plain(None if row["fees"] is None else Decimal(row["fees"]), 4),
        "round_trips": row["round_trips"],
        "wins": row["wins"],
    }


def _day_row(row: Json) -> dict[str, Any]:
    return {
        "day": row["day"],
        "equity": plain(None if row["equity"] is None else Decimal(row["equity"])),
        "pnl": money(row["pnl"]),
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
