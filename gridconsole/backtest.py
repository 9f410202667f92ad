"""`./console backtest`: one grid over recorded data, as text, as one JSON object, or as a page that opens from disk."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gridconsole import console_toml
from trading.domain.backtest_settings import FIELDS, STORED, BacktestSettings, UnusableSettings, Wrong, read
from trading.domain.backtest_symbols import legs_of, spelled

PROGRESS_AFTER_S: Final = 2.0
PROGRESS_EVERY_S: Final = 0.5
ASKED: Final = frozenset({"settings", "plan", "parameters"})  # repeated as it was written
LARGEST_SETTINGS: Final = 64_000  # bytes
EPILOG: Final = "Every value can stand in a TOML file (--config); what is given here as well wins."
HELP: Final[Mapping[str, tuple[str, str]]] = {  # of each setting: what stands for its value, and what it is
    "data": (
        "NAME|FILE",
        "ticks (default), bars, a Parquet file with the same columns, or store:trades/VENUE, store:l2/VENUE",
    ),
    "symbol": ("SYMBOL", "BTCUSDT (default), ETHUSDT ...; several in one purse on one clock: BTCUSDT,ETHUSDT"),
    "each": ("WORDS", "what one of several symbols has of its own: 'ETHUSDT: step=0.001, levels=30; BTCUSDT: lot=400'"),
    "prices": ("KIND", "what moves the grid: trades (default), tops, all"),
    "grid": ("SPACING", "geometric (default) or arithmetic"),
    "mode": ("MODE", "neutral (default), long, short"),
    "style": ("STYLE", "MAKER (default) or TAKER"),
    "levels": ("N", "prices at which it buys or sells, 2 to 500; one more than slots (default 20)"),
    "lower": ("PRICE", "lowest level; with --upper"),
    "upper": ("PRICE", "highest level; with --lower"),
    "step": ("FRACTION", "instead of bounds: distance of two levels around the first price (default 0.0005)"),
    "lot": ("QUOTE", "value of what one slot buys (default 500)"),
    "cash": ("QUOTE", "what it begins with (default 10000)"),
    "base": ("QUANTITY", "what a short grid has to sell (default: what its first ladder sells)"),
    "fee_maker": ("FRACTION", "of the notional (default 0.0002)"),
    "fee_taker": ("FRACTION", "of what is bought to begin with, and of TAKER (default 0.0004)"),
    "latency_ms": ("MS", "each way (default 0)"),
    "max_drawdown": ("FRACTION", "stop at this fall from the high"),
    "max_trades_per_day": ("N", "send nothing more that day (UTC)"),
    "kind": ("KIND", "range (default), infinity (no upper end), reverse (base-denominated)"),
    "atr_multiple": ("N", "step in average true ranges, measured when the ladder is laid"),
    "atr_bars": ("N", "bars of one average true range (default 14)"),
    "atr_bar_s": ("SECONDS", "length of one of them (default 60)"),
    "trail_up_to": ("PRICE", "follow a rising price up to here"),
    "trail_down_to": ("PRICE", "follow a falling price down to here"),
    "recentre_steps": ("N", "lay anew around a price so many steps outside"),
    "carried": ("WAY", "open lots of a ladder that is laid anew: keep (default), close, roll"),
    "reinvest": ("FRACTION", "of the grid profit, spread over the slots; with --reinvest-every-s"),
    "reinvest_every_s": ("SECONDS", "how often"),
    "resting": ("N", "orders a side that rest at once; further levels are virtual"),
    "skew": ("FRACTION", "above 0: lots shrink as the inventory grows"),
    "stop": ("PRICE", "end and close everything here"),
    "take_profit": ("PRICE", "end and close everything here, on the other side"),
    "start_at": ("PRICE", "do nothing before the price was here"),
    "queue": ("MODEL", "for a book (store:l2/VENUE): risk-averse, log, or power:P; orders wait and fill in parts"),
    "engine": ("ENGINE", "kernel (default), or core: the trader and the venue that run live, event by event"),
}


class Refused(Exception):
    """What was asked cannot be done; one line says why and what to do."""


def main(argv: Sequence[str]) -> int:
    """Run one backtest and print it; 2 where what was asked cannot be done."""
    parser = argparse.ArgumentParser(prog="./console backtest", description=__doc__, epilog=EPILOG, allow_abbrev=False)
    add_arguments(parser)
    return run(vars(parser.parse_args(argv)))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what one grid is, and on which data."""
    parser.add_argument("--config", metavar="FILE", help="TOML file with the same names, _ for -")
    for name, (value, text) in HELP.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=value, help=text)
    touch = parser.add_mutually_exclusive_group()
    touch.add_argument("--touch", dest="fill", action="store_const", const="touch", help="a print at the price fills")
    touch.add_argument("--through", dest="fill", action="store_const", const="through", help="only a print beyond it")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_settings(parser)
    parser.add_argument("--desk", metavar="NAME", help="instead of a grid: a whole demo desk (micro, production)")
    parser.add_argument("--html", metavar="FILE", help="write a report with charts that opens without the console")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on the last line")


def run(options: Mapping[str, Any]) -> int:
    """Carry out what the options say and print it; 2 where that cannot be done, with the reason in one line."""
    try:
        for line in _desk(options) if options["desk"] is not None else _grid(options):
            sys.stdout.write(f"{line}\n")
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is flushed into it at the end
        return 1
    except Refused as error:
        sys.stderr.write(" ".join(f"{error}".split("\n")) + "\n")
        return 2
    return 0


def _grid(options: Mapping[str, Any]) -> Iterator[str]:
    began = time.perf_counter()
    settings = settings_of(options)
    html = _place(options["html"]) if options["html"] is not None else None
    from trading import backtesting  # after the settings: a slip of the pen is answered before a library is loaded
    from trading.domain.backtest_words import in_words, leg_lines, level_lines

    shown = Shown()
    away = database() if any(leg.data.startswith(STORED) for leg in legs_of(settings)) else ()
    try:
        done = backtesting.carry_out(settings, shown.show)
    except backtesting.UnableToBacktest as error:
        raise Refused(f"Cannot run this backtest. {error}") from error
    except away as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"The database, which knows what is stored, does not answer: {reason} Is it running?") from error
    finally:
        shown.clear()
    facts = {**done.facts, "seconds": round(time.perf_counter() - began, 3)}
    if html is not None:
        from trading.backtest_page import standing_alone

        html.write_text(standing_alone(facts, done.curves), encoding="utf-8")
    if options["json"]:
        yield json.dumps(as_numbers(facts))
        return
    yield _title(settings, facts)
    yield from in_words(facts, facts["quote"])
    for leg in facts.get("symbols", [facts]):
        yield from leg_lines(leg, facts["quote"])
        yield from level_lines(leg["per_level"])
    yield "Assumptions:"
    yield from (f"  - {line}" for line in facts["assumptions"])
    yield f"Done in {facts['seconds']:.2f} s.{f' Report: {html}' if html else ''}"


def _desk(options: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in FIELDS if name != "data" and options[name] is not None]
    if given or options["html"] is not None or options["config"] is not None:
        names = ", ".join(f"--{name}" for name in (given or ["html"]))
        raise Refused(f"--desk: a desk brings its own grids; leave out {names}.")
    _set_up_django()  # the desks of the demo stand beside its tables, which only Django can name
    from gridconsole import desk_backtest

    try:
        yield from desk_backtest.run(options["desk"], options["data"] or "ticks", as_json=options["json"])
    except desk_backtest.UnableToRun as error:
        raise Refused(str(error)) from error


def database() -> tuple[type[Exception], ...]:
    """Make the database known; return what is raised while it is away."""
    _set_up_django()
    from django.db import OperationalError

    return (OperationalError,)


def _set_up_django() -> None:
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()


def settings_of(options: Mapping[str, Any]) -> BacktestSettings:
    """Return the settings of the file, if one is given, with what the command line says instead.

    Raises:
        Refused: something in either cannot be used; all of it is named.
    """
    written, lines = _written(options["config"]) if options["config"] is not None else ({}, {})
    said = {name: options[name] for name in FIELDS if options[name] is not None}
    empty = [Wrong(name, "is empty; give a value or leave it out.") for name, value in said.items() if value == ""]
    try:
        if empty:
            raise UnusableSettings(*empty)
        tables = {name: value for name, value in written.items() if isinstance(value, dict)}
        plain = {name: value for name, value in written.items() if name not in tables}
        settings = read({**plain, **said, **_own(tables, plain, said)})
        legs_of(settings)
        return settings
    except UnusableSettings as error:
        words = [_where(one, said, lines) for one in error.wrong]
        raise Refused(f"Cannot run this backtest. {' '.join(words)}") from error


def _own(
    tables: Mapping[str, Mapping[str, object]], plain: Mapping[str, object], said: Mapping[str, object]
) -> dict[str, str]:
    """Return what the tables of the file say of each symbol, for `each`, where the command line does not say it."""
    if not tables or "each" in said:
        return {}
    if "each" in plain:
        raise UnusableSettings(Wrong("each", "stands beside tables of symbols; write one or the other."))
    return {"each": spelled(tables)}


def _where(wrong: Wrong, said: Mapping[str, object], lines: Mapping[str, str]) -> str:
    """Return what is wrong with the place it was written at."""
    if wrong.field in lines and wrong.field not in said:
        return f"{lines[wrong.field]}: {wrong}"
    symbol, dot, field = wrong.field.partition(".")
    if dot:
        return f"--each: {symbol}: {field}: {wrong.reason}"
    return f"--{wrong.field.replace('_', '-')}: {wrong.reason}"


def _written(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of a TOML file, and the place of each."""
    try:
        with Path(name).open("rb") as file:
            text = file.read(LARGEST_SETTINGS + 1).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise Refused(f"--config: {name[:200]!a} cannot be read ({reason}); name a TOML file.") from error
    found = console_toml.values(text)
    if isinstance(found, str):
        raise Refused(f"--config: {Path(name).name}, {found}")
    values, lines = found
    if not values:
        raise Refused(f"--config: {name[:200]!a} says nothing; write lines such as levels = 20.")
    return values, {key: f"{Path(name).name}, line {line}" for key, line in lines.items()}


def _place(name: str) -> Path:
    path = Path(name)
    try:
        usable = bool(name) and path.parent.is_dir() and not path.is_dir()
    except (OSError, ValueError):
        usable = False
    if not usable:
        raise Refused(f"--html: {name[:200]!a} is no place for a file; name one in a folder that exists.")
    return path


def _title(settings: BacktestSettings, facts: Mapping[str, Any]) -> str:
    data, levels = facts["data"], facts["levels"]
    if legs := facts.get("symbols"):
        over = f"{data['name']} ({data['label']}), {data['events']:,} events"
        return f"{settings.symbol}: {len(legs)} grids in one purse of {settings.cash:f} {facts['quote']}; {over}"
    kind = "" if settings.kind == "range" else f"{settings.kind} "
    grid = f"{settings.grid} {kind}grid, {settings.mode}, {len(levels)} levels {levels[0]} to {levels[-1]}"
    return f"{settings.symbol}: {grid}, {settings.engine}; {data['name']} ({data['label']}), {data['events']:,} events"


def as_numbers(part: Any, name: str = "") -> Any:
    """Return `part` with every decimal text as a number, but for what was asked, which is repeated as it was."""
    if isinstance(part, Mapping):
        return {key: value if key in ASKED else as_numbers(value, key) for key, value in part.items()}
    if isinstance(part, list):
        return [as_numbers(one, name) for one in part]
    if isinstance(part, str) and part and set(part) <= set("0123456789.-") and any(map(str.isdigit, part)):
        return float(Decimal(part))
    return part


class Shown:
    """One line on standard error while a run takes longer than two seconds."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self._visible = False

    def show(self, fraction: float) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now - self._began >= PROGRESS_AFTER_S and now - self._said >= PROGRESS_EVERY_S and sys.stderr.isatty():
            self._said, self._visible = now, True
            sys.stderr.write(f"\r{fraction:4.0%}")

    def clear(self) -> None:
        """Take the line away."""
        if self._visible:
            sys.stderr.write("\r    \r")
