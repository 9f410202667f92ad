"""`./console train`: train one stage of the roadmap, export it, register it."""

import getpass
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from trading.domain.model_card import STAGES, read_card
from trading.domain.model_package import CARD, EVALUATION, digest_of
from trading.domain.training_settings import DEVICES, SHIPPED, TrainingSettings, UnusableTraining, read

if TYPE_CHECKING:
    from trading.learning import Trained

EVERY_S: Final = 1.0
ASKED: Final = ("stage", "data", "quick", "seed", "epochs", "stride", "parent", "device", "size")
USUAL: Final = TrainingSettings(0)


class Command(BaseCommand):
    """One training, start to end, in this process."""

    help = "Train a stage of the learning roadmap on recorded bars, export it and register it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to train, on what, and where to put it."""
        parser.add_argument("--stage", type=int, required=True, choices=STAGES)
        parser.add_argument("--quick", action="store_true", help="tiny and short: shows that the way works")
        parser.add_argument("--data", default=SHIPPED, help="shipped, store:VENUE or a folder of SYMBOL.parquet")
        parser.add_argument("--symbols", default="", help="as BTCUSDT,ETHUSDT; all there are without it")
        parser.add_argument("--seed", type=int, default=USUAL.seed)
        parser.add_argument("--epochs", type=int, default=USUAL.epochs)
        parser.add_argument("--stride", type=int, default=USUAL.stride, help="learn from every so many-th bar")
        parser.add_argument("--size", default="", help="of the net: usual, roadmap, million; quick with --quick")
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=NUMBER", help="a hyper-parameter, as rate=0.001"
        )
        parser.add_argument("--parent", default="", metavar="DIGEST", help="go on from this registered model")
        parser.add_argument("--device", default=USUAL.device, choices=DEVICES)
        parser.add_argument("--checkpoints", type=Path, help="folder that a broken off training goes on from")
        parser.add_argument("--shared", action="store_true", help="stage 5: share its trials with who trains the same")
        parser.add_argument("--out", type=Path, help="write the files of the model here and register nothing")
        parser.add_argument("--json", action="store_true", help="print what came of it as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Train, then keep what came of it."""
        symbols = [name for name in options["symbols"].upper().replace(",", " ").split() if name]
        began = time.monotonic()
        try:
            hyper = dict(map(_hyper, options["set"]))
            settings = read({name: options[name] for name in ASKED} | {"symbols": symbols, "hyper": hyper})
            if options["out"] is None:
                connection.ensure_connection()  # before an hour of work whose fruit nobody could keep
            trained = self._train(settings, options["checkpoints"], is_shared=options["shared"])
        except UnusableTraining as error:
            raise CommandError(str(error)) from error
        kept = _written(trained.files, options["out"]) if options["out"] else self._registered(trained.files)
        self._tell(trained, kept, time.monotonic() - began, as_json=options["json"])

    def _train(self, settings: TrainingSettings, checkpoints: Path | None, *, is_shared: bool) -> "Trained":
        from trading import learning  # torch: only where something is trained

        with tempfile.TemporaryDirectory(prefix="gridconsole-train-") as folder, _trials(is_shared) as trials:
            return learning.train(settings, self._progress(), checkpoints or Path(folder), trials=trials)

    def _registered(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        from trading.services import model_registry

        by = f"command line: {getpass.getuser()}"
        try:
            version = model_registry.register(files, by=by, at=datetime.now(UTC))
        except model_registry.UnableToRegister as error:
            raise CommandError(f"It was trained but not registered: {error}") from error
        return {"registered": True, "state": version.state, "version": version.pk}

    def _tell(self, trained: "Trained", kept: dict[str, Any], seconds: float, *, as_json: bool) -> None:
        card = read_card(trained.files[CARD])
        judged = json.loads(trained.files.get(EVALUATION, b"{}"))
        standing = judged.get("standing", {})
        result = {
            "stage": card.stage,
            "name": card.name,
            "digest": digest_of(trained.files),
            "parameters": card.parameters,
            "parity": card.parity,
            "quick": card.quick,
            "exported": True,
            "evaluated": bool(judged),
            "skill_vs_har": standing.get("skill_vs_har"),
            "interval": standing.get("interval"),
            "trials": trained.trials,
            "seconds": round(seconds, 1),
            **kept,
        }
        if as_json:
            self.stdout.write(json.dumps(result))
            return
        for name, value in result.items():
            self.stdout.write(f"{name:14} {value}")
        if card.quick:
            self.stdout.write("Quick: it shows that the way works, and claims no skill.")

    def _progress(self) -> Any:
        said = time.monotonic()

        def tell(fraction: float, doing: str) -> None:
            nonlocal said
            if time.monotonic() - said > EVERY_S:
                said = time.monotonic()
                self.stderr.write(f"{fraction:4.0%} {doing}")

        return tell


def _hyper(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError as error:
        raise CommandError(f"--set: {text[:40]!r} is not as rate=0.001.") from error


def _trials(is_shared: bool) -> AbstractContextManager[Any]:
    """Return what gives the storage that trials are shared in; None where they are not."""
    if not is_shared:
        return nullcontext()
    from trading.services import studies  # half a second of imports that only a search needs

    return studies.shared_trials()


def _written(files: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise CommandError(f"It was trained but not written: {error}. Name another folder by --out.") from error
    return {"registered": False, "written": sorted(files)}
