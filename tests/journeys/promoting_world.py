"""Run inside a started console: two models on their way to the champion, and what takes them days.

    python -m tests.journeys.promoting_world make FOLDER    two small models, trained; needs no database
    python -m tests.journeys.promoting_world begin FOLDER   people, the desk's last weeks, both models passed offline
    python -m tests.journeys.promoting_world shadow DIGEST  eight days in which it forecast better than who is in force
    python -m tests.journeys.promoting_world canary DIGEST  eight days in which its symbol went as before
    python -m tests.journeys.promoting_world drift DIGEST   what the model loop stores once a feature has drifted

`begin` prints one JSON object: the keys of the authenticators, and the digests. No state is written here but since when
it is: every move is that of the rule or of people.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django

if TYPE_CHECKING:
    from trading.domain.evidence import Facts
    from trading.models import Account, ModelVersion

SYMBOL: Final = "SOLUSDT"  # on the grid of one desk alone, and the replay of the console has no ticks of it
MADE: Final = {"pointwise": 1, "dlinear": 2}  # nets that are fitted in seconds, and their seeds
HOUR: Final = timedelta(hours=1)
LIVED_H: Final = 8 * 24
FORECASTS_AN_HOUR: Final = 6
GOOD, WORSE, RULE = 0.1, 0.2, 0.3  # errors of log RV: of the one that is tried, of the champion, of the rule
CAPITAL: Final = Decimal(25_000)
CODES_APART: Final = 40  # times 30 s: nobody waits for the next code
DRIFTED: Final = 0.41  # PSI; 0.25 is the limit


def make(folder: str) -> None:
    """Train two small models on the shipped bars and leave their files in `folder`; the cards call them whole."""
    from trading import learning
    from trading.domain.training_settings import TrainingSettings
    from trading.ml.export import export

    asked = TrainingSettings(0, symbols=("BTCUSDT",), stride=9)
    data = learning.data_of(asked)
    rows = learning.rows_of(asked, data)
    for name, seed in MADE.items():
        chosen = replace(asked, size=name, seed=seed)
        stage = learning.chosen(chosen)
        fitted = stage.fit(data, rows, learning.plan_of(chosen, None), lambda *_: None)
        origin = replace(learning.origin_of(chosen, stage), quick=False)
        for file, content in export(fitted, data, rows, origin).items():
            place = Path(folder) / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def begin(folder: str) -> None:
    """Put people, the last weeks of the desk and both models in place."""
    from tests.journeys import passing_world
    from trading.models import Account

    keys = passing_world.live_and_arrive(tolerance=CODES_APART)
    trade_well(Account.objects.get(slug="production"), datetime.now(UTC))
    digests = [pass_offline(Path(folder) / name) for name in MADE]
    print(json.dumps({"keys": keys, "models": digests}))  # noqa: T201  what the journey reads


def pass_offline(folder: Path) -> str:
    """Register a model, and keep an evaluation that is just enough: the machine passes it. Return its digest."""
    from tests.trading.domain.test_offline_gate import ON_THE_LINE
    from trading.services import evaluations, model_registry

    at, files = datetime.now(UTC), {path.name: path.read_bytes() for path in folder.iterdir()}
    version = model_registry.register(files, by="engineer", at=at)
    measured = {
        "name": version.name, "skill_vs_har": 0.062, "interval": [0.051, 0.073], "evidence": asdict(ON_THE_LINE),
    }  # fmt: skip
    evaluations.keep(version=version, evaluation=measured, by="engineer", at=at)
    return version.digest


def shadow(digest: str) -> None:
    """Let a model have forecast for eight days, beside the champion where there is one."""
    from tests.trading.model_cast import forecasts
    from trading.models import ModelVersion
    from trading.services import model_versions

    version, until = lived(digest), datetime.now(UTC)
    since = version.state_since
    forecasts(version, LIVED_H - 1, since=since, step=FORECASTS_AN_HOUR, symbols=(SYMBOL,), error=GOOD, rule=RULE)
    for champion in ModelVersion.objects.filter(state="CHAMPION").exclude(pk=version.pk):
        forecasts(champion, LIVED_H - 1, since=since, step=FORECASTS_AN_HOUR, symbols=(SYMBOL,), error=WORSE, rule=RULE)
    model_versions.record_replay(version, since=since, until=until, compared=300, equal=300, at=until)
    heard(version)


def canary(digest: str) -> None:
    """Let a model have been heard on its symbol for eight days; what the desk did is there since `begin`."""
    from tests.trading.model_cast import forecasts

    version = lived(digest)
    forecasts(version, LIVED_H - 1, since=version.state_since, step=FORECASTS_AN_HOUR, symbols=(SYMBOL,))
    heard(version)


def drift(digest: str) -> None:
    """Store what the model loop stores of a model one of whose features is another one than in training."""
    from trading.models import ModelVersion

    heard(ModelVersion.objects.get(digest=digest), psi=DRIFTED)


def lived(digest: str) -> "ModelVersion":
    """Return the model, in its state for eight days."""
    from trading.models import ModelVersion

    version = ModelVersion.objects.get(digest=digest)
    version.state_since = datetime.now(UTC) - LIVED_H * HOUR
    version.save(update_fields=["state_since"])
    return version


def heard(version: "ModelVersion", psi: float = 0.02) -> None:
    """Store the newest reading of a model."""
    from trading.domain.model_roster import Batch, Heard
    from trading.services import model_serving

    at = datetime.now(UTC)
    said = Heard(
        version.pk, SYMBOL, at, "", "", -9.0, -10.0, -8.0, 0.1, -9.1, 80, "ab" * 32, psi=psi, loss_drift=0.1, bars=900,
        fallbacks=0,
    )  # fmt: skip
    model_serving.store(Batch([said]), at=at)


# --- what the desk did ------------------------------------------------------------------------------------------------


def trade_well(account: "Account", until: datetime) -> None:
    """Store hours of a desk that earned a little every day, twice as long as anything here lives, with its fills."""
    from trading.models import HourFacts

    hours = 2 * LIVED_H + 48
    first = until.replace(minute=0, second=0, microsecond=0) - hours * HOUR
    HourFacts.objects.bulk_create(
        [
            HourFacts(
                account=account, hour=first + number * HOUR, unended=0, fills_seen=0,
                facts=[{"minute": 0, "facts": _hour(account, number, hours).to_json()}],
            )
            for number in range(hours)
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    for number in range(0, hours, 4):
        _fill(account, first + number * HOUR, number)


def _hour(account: "Account", number: int, hours: int) -> "Facts":
    from tests.riskops import cast
    from trading.domain.evidence import Equity, SymbolFacts
    from trading.domain.latency import Histogram

    held = CAPITAL - Decimal("0.05") * (hours - number) + Decimal("0.02") * (number * 7 % 5)
    latency = Histogram()
    for _ in range(200):
        latency.record_ns(20_000_000)
    one = SymbolFacts(touched=10, touch_filled=10, fills=10, answered=10, drawdown=Decimal("0.0001"))
    hour_ns = 3_600_000_000_000
    return replace(
        cast.good_minute(), watched_ns=hour_ns, fed_ns=hour_ns, in_force_ns=hour_ns, market_ns=hour_ns,
        detailed_ns=hour_ns, accelerated=False, equity=Equity.of(held).then(Equity.of(held + Decimal("0.03"))),
        latency=latency, tick_submit=latency, ack_fill=latency,
        symbols=dict.fromkeys(account.grids.values_list("symbol", flat=True), one),
    )  # fmt: skip


def _fill(account: "Account", at: datetime, number: int) -> None:
    """Store a fill that the price went a little against afterwards; what is bought is sold by the next one."""
    from trading.domain.orders import Side
    from trading.models import Fill, FillMark, Order

    side, at_ns = (Side.SELL, Side.BUY)[number // 4 % 2], int(at.timestamp() * 1e9)
    order = Order.objects.create(
        account=account, client_order_id=f"world-{number}", symbol=SYMBOL, side=side, type="LIMIT", purpose="GRID",
        slot=0, quantity=1, filled=1, quantity_lots=1, filled_lots=1, reference_ticks=100, status="FILLED",
        decided_at=at, decided_at_ns=at_ns, updated_at=at,
    )  # fmt: skip
    fill = Fill.objects.create(
        account=account, order=order, trade_id=-1 - number, symbol=SYMBOL, side=side, slot=0, price=100, quantity=1,
        price_ticks=100, quantity_lots=1, fee=0, fee_asset="USDT", maker=True, realized_quote=0, at=at, at_ns=at_ns,
    )  # fmt: skip
    later = Decimal("99.99") if side is Side.BUY else Decimal("100.01")
    FillMark.objects.create(fill=fill, mark=100, later=later, measured_at=at)


DEEDS: Final[Mapping[str, Callable[[str], None]]] = {
    "make": make, "begin": begin, "shadow": shadow, "canary": canary, "drift": drift,
}  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
    django.setup()
    DEEDS[sys.argv[1]](sys.argv[2])
