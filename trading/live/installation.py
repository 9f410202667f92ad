"""What this installation trades at: one venue, so that prices and orders never come from two places."""

from django.conf import settings

from trading.domain.modes import Mode


def why_not_here(mode: Mode) -> str:
    """Return why no account of `mode` trades in this installation, or an empty text."""
    at_simulator = settings.VENUE == "simulator"
    if mode.lower() == settings.VENUE or (at_simulator and (mode is Mode.PAPER or settings.SIMULATOR_STANDS_IN)):
        return ""
    if at_simulator:
        return f"this console trades at the simulated exchange: start it with GRIDCONSOLE_VENUE={mode.lower()}"
    return f"this console trades at {settings.VENUE_URL}, where no {mode} account trades"


def modes_here() -> list[Mode]:
    """Return the modes whose accounts trade in this installation."""
    return [mode for mode in Mode if not why_not_here(mode)]
