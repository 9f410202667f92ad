"""`./console simulate`: live through seeded worlds full of faults and hold the trader to its promises."""

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.domain.simulation import Outcome, simulate

CHUNK: Final = 25
SAY_EVERY_S: Final = 2.0
LONG: Final = 10_000
SHORT: Final = 400
KEPT: Final = Path("tests") / "trading" / "domain" / "regression_seeds.txt"


class Command(BaseCommand):
    """Run the seeded worlds and say what they came to."""

    help = "Drive the production trader through seeded worlds of faults, crashes and halts; exit 1 on a broken promise."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Which worlds, and how to tell of them."""
        parser.add_argument("--seeds", type=int, default=None, help=f"how many worlds (default {SHORT})")
        parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed (default 0)")
        parser.add_argument("--long", action="store_true", help=f"{LONG} worlds, as before a release")
        parser.add_argument("--crash-at", type=int, default=0, metavar="STEP", help="kill a process at this step, too")
        parser.add_argument(
            "--every-step", action="store_true", help="live through each world once per step, killed at that step"
        )
        parser.add_argument("--trace", action="store_true", help="print what happened in each world, line by line")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--json", action="store_true", help="print the result as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Live through them; a failing seed prints the command that shows it again."""
        seeds = options["seeds"] if options["seeds"] is not None else LONG if options["long"] else SHORT
        if seeds < 1 or options["first"] < 0 or options["processes"] < 1:
            raise CommandError("--seeds and --processes must be at least 1, --from at least 0.")
        worlds = [(seed, options["crash_at"]) for seed in range(options["first"], options["first"] + seeds)]
        if options["trace"]:
            self._trace(worlds)
            return
        began = time.monotonic()
        if options["every_step"]:
            steps = {seed: simulate(seed).steps for seed, _ in worlds}
            worlds = [(seed, step) for seed, count in steps.items() for step in range(1, count + 1)]
        outcomes = self._run(worlds, options["processes"])
        broken = [outcome for outcome in outcomes if outcome.violation]
        self._tell(outcomes, broken, time.monotonic() - began, as_json=options["json"])
        if broken:
            _keep(broken)
            sys.exit(1)

    def _run(self, seeds: list[tuple[int, int]], processes: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        said_at = time.monotonic()
        with ProcessPoolExecutor(min(processes, len(seeds))) as pool:
            for outcome in pool.map(_live, seeds, chunksize=min(CHUNK, -(-len(seeds) // processes))):
                outcomes.append(outcome)
                if time.monotonic() - said_at > SAY_EVERY_S:
                    said_at = time.monotonic()
                    self.stderr.write(f"{len(outcomes)} of {len(seeds)} worlds")
        return outcomes

    def _trace(self, seeds: list[tuple[int, int]]) -> None:
        violations = 0
        for seed, step in seeds:
            outcome = simulate(seed, trace=True, crash_at=step)
            self.stdout.write(f"--- seed {seed}")
            for line in outcome.trace:
                self.stdout.write(line)
            self.stdout.write(outcome.violation or "every promise was kept")
            violations += bool(outcome.violation)
        if violations:
            sys.exit(1)

    def _tell(self, outcomes: list[Outcome], broken: list[Outcome], seconds: float, *, as_json: bool) -> None:
        for outcome in broken[:10]:
            self.stderr.write(f"seed {outcome.seed}: {outcome.violation}\n  {_again(outcome)}")
        result = {
            "seeds": len({outcome.seed for outcome in outcomes}),
            "worlds": len(outcomes),
            "violations": len(broken),
            "events": sum(outcome.events for outcome in outcomes),
            "orders": sum(outcome.orders for outcome in outcomes),
            "fills": sum(outcome.fills for outcome in outcomes),
            "crashes": sum(outcome.crashes for outcome in outcomes),
            "kills": sum(outcome.kills for outcome in outcomes),
            "longest_proof_s": max(outcome.proof_s for outcome in outcomes),
            "seconds": round(seconds, 1),
            "first_violation": f"seed {broken[0].seed}: {broken[0].violation}" if broken else "",
        }
        if as_json:
            self.stdout.write(json.dumps(result))
        else:
            for name, value in result.items():
                self.stdout.write(f"{name:16} {value}")


def _live(world: tuple[int, int]) -> Outcome:
    seed, step = world
    return simulate(seed, crash_at=step)


def _again(outcome: Outcome) -> str:
    step = f" --crash-at {outcome.crash_at}" if outcome.crash_at else ""
    return f"./console simulate --seeds 1 --from {outcome.seed}{step} --trace"


def _keep(broken: list[Outcome]) -> None:
    """Add failing seeds to the file the tests always run, where this is a checkout with tests."""
    path = Path(settings.BASE_DIR) / KEPT
    if not path.exists():
        return
    known = {line.split()[0] for line in path.read_text().splitlines() if line and not line.startswith("#")}
    with path.open("a") as file:
        plain = [each for each in broken if not each.crash_at]
        file.writelines(f"{each.seed} {each.violation}\n" for each in plain if str(each.seed) not in known)
