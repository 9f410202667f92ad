"""The web process starts fast and stays small: the heavy libraries belong to the loops."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"ccxt", "torch", "pyarrow", "plotly", "numba", "celery"}


def test_the_web_process_imports_no_heavy_library() -> None:
    script = "import sys, gridconsole.asgi, gridconsole.urls; print(*{name.split('.')[0] for name in sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert HEAVY & set(loaded.stdout.split()) == set()


def test_the_worker_of_the_housekeeping_never_loads_a_net() -> None:
    script = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'gridconsole.settings'; django.setup(); "
        "import gridconsole.celery, trading.tasks, riskops.tasks; print(*{name.split('.')[0] for name in sys.modules})"
    )

    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"torch", "onnxruntime", "onnx"} & set(loaded.stdout.split()) == set()
