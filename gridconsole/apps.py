"""The wiring as a Django app: management commands and start-up checks."""

from django.apps import AppConfig


class GridconsoleConfig(AppConfig):
    name = "gridconsole"
    verbose_name = "Grid Console"

    def ready(self) -> None:
        """Register the checks."""
        from gridconsole import checks  # noqa: F401 - imported for what it registers
