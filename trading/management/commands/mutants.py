"""`./console mutants`: plant each known bug and show which seeded world finds it, or fail."""

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.domain.simulation.mutants import MUTANTS, Hunt, hunt

SEEDS: Final = 5_000


class Command(BaseCommand):
    """Plant the bugs one by one."""

    help = "Plant known bugs in the trader one by one; every one must be found by a seeded world. Exit 1 on a survivor."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """How long to look, and how to tell."""
        parser.add_argument("--seeds", type=int, default=SEEDS, help=f"worlds tried for each bug (default {SEEDS})")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--json", action="store_true", help="print the result as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Hunt each; the bugs that survive are named."""
        if options["seeds"] < 1 or options["processes"] < 1:
            raise CommandError("--seeds and --processes must be at least 1.")
        began, found = time.monotonic(), list[Hunt]()
        with ProcessPoolExecutor(options["processes"]) as pool:
            for each in pool.map(partial(_hunt, seeds=options["seeds"]), range(len(MUTANTS))):
                found.append(each)
                where = f"seed {each.seed}, {each.violation}" if each.seed is not None else "SURVIVED"
                self.stderr.write(f"{each.name}: {where}")
        survivors = [each.name for each in found if each.seed is None]
        result = {
            "planted": len(found),
            "killed": len(found) - len(survivors),
            "survivors": survivors,
            "seconds": round(time.monotonic() - began, 1),
            "bugs": {each.name: {"seed": each.seed, "broke": each.violation} for each in found},
        }
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(f"{result['killed']} of {result['planted']} planted bugs were found.")
        if survivors:
            sys.exit(1)


def _hunt(number: int, *, seeds: int) -> Hunt:
    return hunt(MUTANTS[number], seeds=seeds)
