"""`manage.py simulator`: the simulated exchange with the installation's settings.

The same as `python -m trading.simulator`, which `up` starts because it needs no Django and half the memory.
"""

import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from trading.simulator import __main__ as program


class Command(BaseCommand):
    """Run the exchange until it is told to stop."""

    help = "Run the simulated exchange: recorded market data behind Binance's spot dialect, on this machine only."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        program.add_arguments(parser)
        parser.set_defaults(
            port=urlsplit(settings.SIMULATOR_URL).port or program.DEFAULT_PORT,
            instance=settings.INSTANCE,
            data_dir=settings.DATA_DIR,
            speed=settings.DEMO_SPEED,
            dataset=settings.DEMO_DATASET,
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(program.start(program.Options.of(options)))
