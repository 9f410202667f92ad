"""`./console evaluate`: every stage and every baseline over one purged walk-forward, with intervals."""

import getpass
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils.timezone import now

from trading.domain.learned import HORIZONS_S
from trading.domain.offline_gate import HoldoutSpent, Opening

if TYPE_CHECKING:
    from trading.ml.contenders import Net
    from trading.ml.evaluation import Walk
    from trading.ml.judging import Ask
    from trading.ml.learnable import Learnable
    from trading.models import ModelVersion

SAY_EVERY_S: Final = 2.0
WINDOW: Final = 64  # bars a net sees at once
ALL: Final = tuple(range(6))
SHIPPED: Final = "shipped"
SEEDS: Final = 5
LIGHT: Final = ("dlinear", "pointwise", "tcn")
FEW_SEEDS: Final = 2  # of --quick: it proves nothing anyway
COLUMNS: Final = (
    f"{'':5} {'name':16} {'weights':>9} {'MSE':>8} {'skill vs HAR':>13} {'95 % interval':>19} {'t':>6} {'vs Ridge':>9}"
    f" {'worst':>7} {'held 80 %':>9}"
)


class Command(BaseCommand):
    """Say how good the forecasts are, and how sure that is."""

    help = "Train every contender anew on each fold of a purged walk-forward and hold what it says against what came."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What is judged, on which data, and how to tell of it."""
        parser.add_argument("--data", default=SHIPPED, help="shipped, a folder of SYMBOL.parquet, or store:VENUE")
        parser.add_argument("--symbols", default="", help="as BTCUSDT,ETHUSDT (default all)")
        parser.add_argument("--stages", nargs="*", type=int, choices=ALL, help="of the roadmap (without numbers: all)")
        parser.add_argument("--light", nargs="*", choices=LIGHT, default=list(LIGHT), help="nets that take seconds")
        parser.add_argument("--registered", action="store_true", help="also every model of the store, trained anew")
        parser.add_argument("--report", action="store_true", help="a table of all stages and baselines")
        parser.add_argument("--json", action="store_true", help="the report as JSON on the last line")
        parser.add_argument("--quick", action="store_true", help="tiny and short; always so on the shipped week")
        parser.add_argument("--seeds", type=int, default=None, help=f"of each net (default {SEEDS})")
        parser.add_argument("--epochs", type=int, default=3)
        parser.add_argument("--thin", type=int, default=2, help="nets learn from every so many-th row (default 2)")
        parser.add_argument("--folds", type=int, default=0, help="only the newest so many (default all)")
        parser.add_argument(
            "--indicators", action="store_true",
            help="also larger nets, growing data and regimes, for Model readiness (several times as long)",
        )  # fmt: skip
        parser.add_argument(
            "--open-holdout", metavar="FAMILY", help="look at the locked last year, once for this promotion family"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk forward; what cannot be used is named and nothing is told."""
        _check(options)
        try:
            report = self._report(options)
        except DatabaseError as error:
            raise CommandError(f"database: {str(error).splitlines()[0]}; start it with ./console up.") from error
        if not options["json"] or options["report"]:
            self._tell(report)
        if options["json"]:
            self.stdout.write(json.dumps(report, allow_nan=False))

    def _report(self, options: dict[str, Any]) -> dict[str, Any]:
        from trading.ml import judging  # torch is loaded for this command alone

        data = _data(options)
        ask = _ask(options)
        self._said_at = 0.0
        try:
            known = _registered(options) if options["registered"] else {}
            nets = [*judging.nets_of(ask), *known.values()]
            ask = _looking(ask, options, known)
            report = judging.judged(data, nets, ask, _walk(data, options, ask, nets), now(), self._say)
        except judging.REFUSALS as error:
            raise CommandError(str(error)) from error
        _keep(report, known)
        return report

    def _say(self, share: float, doing: str) -> None:
        if time.monotonic() - self._said_at > SAY_EVERY_S:
            self._said_at = time.monotonic()
            self.stderr.write(f"{share:4.0%} {doing}")

    def _tell(self, report: dict[str, Any]) -> None:
        days = f"{report['train_days']:g} days of training, {report['test_days']:g} of test"
        self.stdout.write(f"{report['data']}: {len(report['folds'])} folds, {days}, {len(report['seeds'])} seeds")
        locked = report["locked_year"]
        looked = "looked at, nothing else" if report["opened"] else "not looked at"
        self.stdout.write(f"locked year {locked[0]} to {locked[1]}: {looked}" if locked else "too short to lock a year")
        if report["quick"]:
            self.stdout.write("tiny nets and few days: this shows that the way works, no figure is a claim of skill")
        self.stdout.write(COLUMNS)
        for each in (*report["baselines"], *report["stages"]):
            self.stdout.write(_line(each))
        for each in report["stages"]:
            missed = [finding["criterion"] for finding in each["findings"] if not finding["met"]]
            self.stdout.write(f"{each['name']}: {'OFFLINE_PASS' if not missed else 'missed ' + ', '.join(missed)}")
        for each in report["dropped"]:
            known = f"{each['train_known']:.0%} of training and {each['test_known']:.0%} of test known"
            self.stdout.write(f"fold {each['fold']} without {each['symbol']}: {known}")


def _check(options: dict[str, Any]) -> None:
    if options["indicators"] and options["open_holdout"]:
        raise CommandError("--indicators: the locked year is for skill alone; leave out one of --open-holdout and it.")
    for name, least in (("epochs", 1), ("thin", 1), ("folds", 0)):
        if options[name] < least:
            raise CommandError(f"--{name} must be at least {least}.")
    if options["seeds"] is not None and not 1 <= options["seeds"] <= 20:
        raise CommandError("--seeds must be from 1 to 20.")


def _ask(options: dict[str, Any]) -> "Ask":
    from trading.ml.judging import Ask

    asked = options["stages"]
    stages = ALL if asked == [] or (asked is None and options["report"]) else tuple(asked or ())
    quick = options["quick"] or options["data"] == SHIPPED
    light = tuple(name for name in LIGHT if name in options["light"])
    return Ask(tuple(sorted(set(stages))), light, quick=quick, epochs=options["epochs"], thin=options["thin"])


def _looking(ask: "Ask", options: dict[str, Any], known: "dict[ModelVersion, Net]") -> "Ask":
    """Return what else is measured: of registered models and stages that were named, or of the best net."""
    from trading.ml import indicating
    from trading.ml.stages import STAGES

    if options["open_holdout"]:
        return ask  # the locked year is for skill alone
    look = indicating.ALL if options["indicators"] else indicating.FEW if known else indicating.CURVE
    named = tuple(net.name for net in known.values())
    if not named or options["indicators"]:
        named = (*(STAGES[number].name for number in options["stages"] or ()), *named)
    return replace(ask, look=look, of=named)


def _data(options: dict[str, Any]) -> "Learnable":
    from trading.domain.bars import UnsoundBars
    from trading.learning_data import UnableToLoad, load
    from trading.ml.learnable import learnable

    symbols = tuple(filter(None, options["symbols"].split(",")))
    try:
        bars = load(options["data"], symbols)
        return learnable(bars, window=WINDOW, horizons_s=HORIZONS_S, source=options["data"])
    except (UnableToLoad, UnsoundBars) as error:
        raise CommandError(str(error)) from error


def _walk(data: "Learnable", options: dict[str, Any], ask: "Ask", nets: "list[Net]") -> "Walk":
    """Return how to walk; the locked year is opened last, when nothing can be refused any more."""
    from trading.ml.evaluation import walk_of

    seeds = tuple(range(options["seeds"] or (FEW_SEEDS if ask.quick else SEEDS)))
    if family := options["open_holdout"]:
        return walk_of(data, seeds=seeds, opening=_opened(data, family, nets))
    return walk_of(data, seeds=seeds, newest=options["folds"], curve=("ridge",))


def _opened(data: "Learnable", family: str, nets: "list[Net]") -> Opening:
    """Open the locked year for `family`: from here on it has been looked at, whatever comes of it."""
    from trading.domain.offline_gate import locked_year
    from trading.services import evaluations

    if locked_year(data.span) is None:
        raise CommandError("data: shorter than 18 months, so no year is locked; evaluate without --open-holdout.")
    names = ",".join(net.name for net in nets)[: evaluations.LONGEST_NAME] or "baselines"
    try:
        return evaluations.open_locked_year(family=family, model=names, by=getpass.getuser(), at=now())
    except (HoldoutSpent, evaluations.UnableToOpen) as error:
        raise CommandError(str(error)) from error


def _registered(options: dict[str, Any]) -> "dict[ModelVersion, Net]":
    """Return every registered model as a net to be trained anew, in the way its card tells."""
    from trading.ml.judging import again
    from trading.models import ModelVersion

    sound = ModelVersion.objects.exclude(state__in=(ModelVersion.State.REFUSED, ModelVersion.State.RETIRED))
    return {each: again(each.card, each.digest, thin=options["thin"]) for each in sound}


def _keep(report: dict[str, Any], known: "dict[ModelVersion, Net]") -> None:
    from trading.services import evaluations

    frame = {name: value for name, value in report.items() if name != "stages"}
    found = {each["name"]: each for each in report["stages"]}
    for version, net in known.items():
        evaluations.keep(version=version, evaluation={**frame, **found[net.name]}, by=getpass.getuser(), at=now())


def _line(each: dict[str, Any]) -> str:
    between = each["interval"]
    interval = f"{between[0]:+.1%} to {between[1]:+.1%}" if between else "-"
    skill, ridge = _said(each["skill_vs_har"], "+.1%"), _said(each["behind_ridge"], "+.1%")
    t = _said(each["t_vs_har"], ".1f")
    stage = f"{each['stage']}" if "stage" in each else ""
    weights = f"{each['parameters']:,}" if "parameters" in each else ""
    return (
        f"{stage:5} {each['name']:16} {weights:>9} {each['mse']:8.4f} {skill:>13} {interval:>19} {t:>6} {ridge:>9}"
        f" {each['worst_fold']:+7.1%} {each['coverage_80']:9.1%}"
    )


def _said(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
