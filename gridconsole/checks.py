"""Checks that run before every command: what would fail later is said at the start."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def data_folder_is_writable(app_configs: Any, **_: object) -> list[CheckMessage]:
    """The data folder, or the nearest folder above it that exists, must take new files."""
    folder = _nearest_existing(settings.DATA_DIR)
    if os.access(folder, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"The data folder {settings.DATA_DIR} cannot be written.",
            hint=f"Give this user write access to {folder}, or set GRIDCONSOLE_DATA_DIR to another folder.",
            id="gridconsole.E001",
        )
    ]


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
