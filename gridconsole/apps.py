"""The wiring as a Django app: management commands and start-up checks."""

from django.apps import AppConfig


class GridconsoleConfig(AppConfig):
    name = "gridconsole"
    verbose_name = "Grid Console"

    def ready(self) -> None:
        """Register the checks, and the Celery app so that `.delay()` finds the broker from any process."""
        from gridconsole import celery, checks  # noqa: F401 - imported for what they register
