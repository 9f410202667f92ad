"""The page of models: who is heard, who runs beside, who waits; the stages of the roadmap; trainings under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q
from django.db.models.aggregates import Aggregate
from django.db.models.fields import FloatField

from trading.domain.indicators import Estimate
from trading.models import ModelForecast, ModelHealth, ModelVersion, TrainingRun
from trading.selectors import backtests
from trading.selectors.model_evaluation import read_evaluation
from trading.selectors.numbers import UNKNOWN, in_words, signed

State = ModelVersion.State
RUNNING: Final = (State.CHAMPION, State.CANARY, State.SHADOW)
WAITING: Final = (State.OFFLINE_PASS, State.REGISTERED)
CANDIDATES_SHOWN: Final = 6  # as cards; the others stand in the list
OTHERS_SHOWN: Final = 50
TRAININGS_SHOWN: Final = 8
LATENCY_OVER: Final = timedelta(hours=24)
HEARD: Final = "heard"
STAGES: Final[tuple[tuple[int, str, str], ...]] = (  # of the roadmap: number, what it is, when it is due
    (0, "LSTM with feature attention", "where every desk begins"),
    (1, "Multi-head attention", "10M ticks"),
    (2, "Transformer, wavelets, TCN", "a plateau of the stage before"),
    (3, "Deep regimes", "more regimes than modelled"),
    (4, "Reinforcement learning", "100M ticks; in shadow"),
    (5, "Architecture search", "larger nets still gain"),
)


class Percentile(Aggregate):
    """The value below which a share of the rows lies."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, *, share: float, **extra: Any) -> None:
        super().__init__(expression, share=share, **extra)


@dataclass(frozen=True, slots=True)
class Took:
    """How long a model took over the last day, features and checks included."""

    p50_us: float
    p99_us: float
    asked: int

    @property
    def text(self) -> str:
        """As people read it."""
        return f"{self.p50_us:,.0f} / {self.p99_us:,.0f} \N{MICRO SIGN}s"


@dataclass(frozen=True, slots=True)
class Card:
    """One model as the page shows it."""

    version: ModelVersion
    parameters: str
    bar: str
    symbols: str
    skill: Estimate | None
    skill_text: str
    is_quick: bool
    health: Sequence[ModelHealth]
    took: Took | None

    @property
    def is_running(self) -> bool:
        """True where the model loop asks it."""
        return self.version.state in RUNNING

    @property
    def short(self) -> str:
        """Its digest, short."""
        return self.version.digest[:12]

    @property
    def faults(self) -> list[ModelHealth]:
        """Symbols on which the rule is used instead."""
        return [one for one in self.health if one.fault]


@dataclass(frozen=True, slots=True)
class Stop:
    """One stage of the roadmap, and where the desk stands."""

    number: int
    name: str
    due: str
    state: str  # "now", "done" or "ahead", as the roadmap of capital
    words: str


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """One training in the list."""

    run: TrainingRun
    title: str
    percent: int
    since: str
    digest: str  # of the model that came of it

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.run.state in (TrainingRun.State.WAITING, TrainingRun.State.RUNNING)


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """All of it."""

    running: Sequence[Card]
    candidates: Sequence[Card]
    others: Sequence[Card]
    stops: Sequence[Stop]

    @property
    def is_empty(self) -> bool:
        """True where no model was ever registered."""
        return not (self.running or self.candidates or self.others)

    @property
    def has_champion(self) -> bool:
        """True where a model is heard by every desk."""
        return any(card.version.state == State.CHAMPION for card in self.running)


def models_page(now: datetime) -> ModelsPage:
    """Return every model, in four queries however many there are."""
    versions = list(ModelVersion.objects.all()[: OTHERS_SHOWN + CANDIDATES_SHOWN])
    versions += list(_running_beyond(versions))
    cards = _cards(versions, now)
    running = sorted((card for card in cards if card.is_running), key=lambda card: RUNNING.index(_state(card)))
    waiting = [card for card in cards if card.version.state in WAITING]
    shown = waiting[:CANDIDATES_SHOWN]
    others = [card for card in cards if card not in running and card not in shown]
    return ModelsPage(running, shown, others, _stops(cards))


def training_lines(now: datetime) -> list[TrainingLine]:
    """Return what is under way and what ended last, in two queries."""
    runs = TrainingRun.objects.defer("curves").prefetch_related("versions")[:TRAININGS_SHOWN]
    return [_training(run, now) for run in runs]


def data_choices() -> dict[str, tuple[str, ...]]:
    """Return what a model can be trained on: the name of the data, and its symbols."""
    found: dict[str, tuple[str, ...]] = {}
    for one in backtests.sources():
        if one.data == "bars":
            found["shipped"] = (*found.get("shipped", ()), one.symbol)
        elif one.data.startswith("store:bars"):
            name = f"store:{one.data.partition('/')[2]}"
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), one.symbol)))
    return found


def card_of(version: ModelVersion, health: Sequence[ModelHealth], took: Took | None) -> Card:
    """Return one model as the pages show it."""
    card: Mapping[str, Any] = version.card
    skill = read_evaluation(version.evaluation, version.name).skill
    return Card(
        version=version,
        parameters=_counted(card.get("parameters")),
        bar=_bar(card.get("bar_s")),
        symbols=" ".join(card.get("symbols") or ()) or UNKNOWN,
        skill=skill,
        skill_text=interval_text(skill),
        is_quick=bool(card.get("quick", True)),
        health=health,
        took=took,
    )


def interval_text(of: Estimate | None, decimals: int = 1) -> str:
    """Return an estimate of a fraction with its interval: "+6.2 % (+4.0 to +8.1 %)"; a dash where it is unknown."""
    if of is None:
        return UNKNOWN
    value, low, high = (signed(100 * one, decimals) for one in (of.value, of.low, of.high))
    return f"{value} % ({low} to {high} %)"


def latencies(now: datetime, versions: Sequence[int]) -> dict[int, Took]:
    """Return how long each of these versions took over the last day."""
    rows = ModelForecast.objects.filter(version__in=versions, at__gt=now - LATENCY_OVER).values("version").order_by()
    counted = rows.annotate(
        p50=Percentile("took_us", share=0.5), p99=Percentile("took_us", share=0.99), asked=Count("id")
    )
    found = counted.values_list("version", "p50", "p99", "asked")
    return {version: Took(p50, p99, asked) for version, p50, p99, asked in found}


def _running_beyond(known: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
    """What runs is shown however many were registered since."""
    wanted = Q(state__in=RUNNING) & ~Q(pk__in=[version.pk for version in known])
    return list(ModelVersion.objects.filter(wanted))


def _cards(versions: Sequence[ModelVersion], now: datetime) -> list[Card]:
    keys = [version.pk for version in versions if version.state in RUNNING]
    took, health = latencies(now, keys), dict[int, list[ModelHealth]]()
    for one in ModelHealth.objects.filter(version__in=keys):
        health.setdefault(one.version_id, []).append(one)
    return [card_of(version, health.get(version.pk, []), took.get(version.pk)) for version in versions]


def _state(card: Card) -> State:
    return State(card.version.state)


def _stops(cards: Sequence[Card]) -> list[Stop]:
    champion = next((card.version for card in cards if card.version.state == State.CHAMPION), None)
    known = {card.version.stage for card in cards if card.version.state not in (State.REFUSED, State.ROLLED_BACK)}
    return [_stop(stage, champion, known) for stage in STAGES]


def _stop(stage: tuple[int, str, str], champion: ModelVersion | None, known: set[int]) -> Stop:
    number, name, due = stage
    if champion is not None and champion.stage == number:
        return Stop(number, name, due, "now", "champion")
    if number in known:
        return Stop(number, name, due, "done", "trained")
    return Stop(number, name, due, "ahead", "not trained yet")


def _training(run: TrainingRun, now: datetime) -> TrainingLine:
    until = run.ended_at or now
    return TrainingLine(
        run=run,
        title=title_of(run),
        percent=round(run.progress * 100),
        since=in_words(until - run.asked_at),
        digest=next((one.digest for one in run.versions.all()), ""),
    )


def title_of(run: TrainingRun) -> str:
    """Return what a training is about, in words."""
    symbols = " ".join(run.settings.get("symbols") or ()) or "all symbols"
    quick = ", quick" if run.settings.get("quick") else ""
    return f"stage {run.stage} on {run.settings.get('data', UNKNOWN)}, {symbols}{quick}"


def _counted(raw: object) -> str:
    return f"{raw:,}" if isinstance(raw, int) else UNKNOWN


def _bar(raw: object) -> str:
    if not isinstance(raw, int) or raw <= 0:
        return UNKNOWN
    return f"{raw // 60} min" if raw % 60 == 0 else f"{raw} s"
