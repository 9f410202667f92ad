"""`./console data import|list|check|gaps`: market history in and out of the store."""

import getpass
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.selectors import market_store as selectors
from trading.services import market_store

QUIET_S: Final = 2.0  # work that is done sooner needs no progress
EVERY_S: Final = 1.0
GAPS_SHOWN: Final = 40


class Command(BaseCommand):
    """One service call each."""

    help = "Import market history, list what is stored, check it against its hash, list its holes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Four things to do, each with its options."""
        deeds = parser.add_subparsers(dest="deed", required=True)
        taken = deeds.add_parser("import", help="store CSV, CSV.GZ, ZIP or Parquet files, each whole or not at all")
        taken.add_argument("paths", nargs="+", type=Path, metavar="FILE")
        taken.add_argument("--symbol", default="", help="as BTCUSDT, where the file name does not say it")
        taken.add_argument("--venue", default="", help="as binance-spot, where the file name does not say it")
        taken.add_argument("--kind", default="", help="trades, tops, l2diff, l2snap or bars, where the file mixes them")
        taken.add_argument("--interval", default="", help="of bars, as 1m, where the file name does not say it")
        taken.add_argument("--only-market", action="store_true", help="leave out what has an exec_type but MARKET")
        taken.add_argument("--again", action="store_true", help="store it though it, or its time, is stored already")
        for deed, meaning in (
            ("list", "every stored series"),
            ("check", "read everything again and hold it against hash and rules"),
            ("gaps", "every hole with its times"),
        ):
            chosen = deeds.add_parser(deed, help=meaning)
            for name in ("symbol", "venue", "kind"):
                chosen.add_argument(f"--{name}", default="", help=f"only this {name}")
        for parsed in deeds.choices.values():
            parsed.add_argument("--json", action="store_true", help="print the result as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        deed: Callable[[dict[str, Any]], None] = getattr(self, f"_{options['deed']}")
        deed(options)

    def _import(self, options: dict[str, Any]) -> None:
        found = []
        for path in options["paths"]:
            wish = market_store.Wish(
                path=path,
                symbol=options["symbol"],
                venue=options["venue"],
                kind=options["kind"],
                interval=options["interval"],
                again=options["again"],
                only_market=options["only_market"],
            )
            by, at = f"command line: {getpass.getuser()}", datetime.now(UTC)
            try:
                done = market_store.import_file(wish=wish, by=by, at=at, progress=self._progress(path.name))
            except market_store.UnableToImport as error:
                raise CommandError(str(error)) from error
            found.append(_as_json(done))
            self.stdout.write(_in_words(done))
        self._last_line(options, {"imported": found})

    def _list(self, options: dict[str, Any]) -> None:
        lines = selectors.series_lines(options["symbol"], options["venue"], options["kind"])
        for line in lines:
            holes = f", {line.holes} holes" if line.holes else ""
            self.stdout.write(
                f"{line.name}: {line.first_at:%Y-%m-%d %H:%M} to {line.last_at:%Y-%m-%d %H:%M} UTC, {line.days} days, "
                f"{line.rows:,} rows, {line.bytes_per_row:.2f} bytes each{holes}"
            )
        if not lines:
            self.stdout.write("Nothing is stored. ./console data import FILE takes a file in.")
        self._last_line(options, {"series": [line.as_json() for line in lines]})

    def _check(self, options: dict[str, Any]) -> None:
        wanted = {name: options[name] for name in ("symbol", "venue", "kind")}
        found = market_store.check(**wanted, at=datetime.now(UTC), progress=self._progress("checking"))
        for problem in found.problems:
            self.stdout.write(f"✗ {problem}")
        for path in found.orphans:
            self.stdout.write(f"? {path}: the catalogue does not name it; nobody reads it, it may be deleted")
        self.stdout.write(f"{found.parts} parts with {found.rows:,} rows read, {len(found.problems)} broken")
        result = {"parts": found.parts, "rows": found.rows, "problems": found.problems, "orphans": found.orphans}
        self._last_line(options, result)
        if found.problems:
            raise CommandError(f"{len(found.problems)} stored parts are not what was stored.")

    def _gaps(self, options: dict[str, Any]) -> None:
        lines = selectors.gap_lines(options["symbol"], options["venue"], options["kind"])
        for line in lines[:GAPS_SHOWN]:
            told = line.as_json()
            rows = f", {told['missing']:,} rows" if told["missing"] else ""
            self.stdout.write(f"{line.series}: {told['from']} to {told['until']}, {told['seconds']:,} s{rows}")
        if len(lines) > GAPS_SHOWN:
            self.stdout.write(f"and {len(lines) - GAPS_SHOWN} more; --json has all")
        if not lines:
            self.stdout.write("No holes.")
        self._last_line(options, {"gaps": [line.as_json() for line in lines]})

    def _last_line(self, options: dict[str, Any], result: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result))

    def _progress(self, what: str) -> market_store.Progress:
        """Say how far it is, once it takes longer than a moment."""
        began = said = time.monotonic()

        def tell(fraction: float, rows: int) -> None:
            nonlocal said
            now = time.monotonic()
            if now - began >= QUIET_S and now - said >= EVERY_S:
                said = now
                self.stderr.write(f"  {what}: {fraction:.0%}, {rows:,} rows, {now - began:.0f} s")

        return tell


def _as_json(done: market_store.Imported) -> dict[str, Any]:
    row = done.row
    return {
        "file": row.file_name,
        "series": done.parts[0].series.name,
        "rows": row.rows,
        "left_out": row.left_out,
        "parts": len(done.parts),
        "bytes": sum(part.bytes for part in done.parts),
        "first": selectors.iso(row.first_at_ns),
        "last": selectors.iso(row.last_at_ns),
        "holes": row.hole_count,
        "tick_size": f"{done.steps.tick_size:f}",
        "lot_size": f"{done.steps.lot_size:f}",
        "steps_from": done.steps.origin,
        "numbered": done.numbered,
        "replaced": done.replaced,
        "sha256": row.sha256,
    }


def _in_words(done: market_store.Imported) -> str:
    told = _as_json(done)
    words = [
        f"{told['series']}: {told['rows']:,} rows of {told['first']} to {told['last']}",
        f"{told['bytes'] / told['rows']:.2f} bytes each",
        f"tick {told['tick_size']}, lot {told['lot_size']}"
        + (" as the venue says" if told["steps_from"] == "instrument" else " derived from the data"),
    ]
    words += [f"{told['left_out']} rows left out"] if told["left_out"] else []
    words += [f"{told['holes']} holes (./console data gaps)"] if told["holes"] else []
    words += ["without ids of its own: counted here"] if told["numbered"] else []
    return ", ".join(words)
