"""Where compiled loops are kept: by what they were compiled from, so that an upgrade never runs old machine code.

numba looks at the file of a function alone; one that calls into another file would stay as it was.
"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = tuple(ROOT / "trading" / f"{name}.py" for name in
                       ("domain/scanning", "domain/stepping", "domain/depth", "domain/queueing", "domain/sweeping",
                        "domain/bar_kernel", "domain/grid_worlds", "ml/reinforcement/replay"))  # fmt: skip
VARIABLE: Final = "NUMBA_CACHE_DIR"


def choose_folder() -> None:
    """Name numba's folder after the sources, unless somebody has chosen one; must come before numba is imported."""
    digest = sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    os.environ.setdefault(VARIABLE, str(ROOT / "var" / "numba" / digest[:16]))
