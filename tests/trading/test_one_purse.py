"""Several symbols of the shipped recordings in one purse: each as alone, the sums exact, one gate for all."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridconsole.backtest import main
from trading import backtesting
from trading.backtesting import Done, UnableToBacktest, carry_out
from trading.domain.backtest_report import deals
from trading.domain.backtest_settings import read
from trading.domain.backtest_symbols import legs_of
from trading.domain.purse import events_until, stopped_at
from trading.domain.purse_report import Shared, ended_at, shared

BOTH = {"symbol": "BTCUSDT,ETHUSDT", "lot": "100"}
SUMS = ("pnl", "grid_profit", "inventory_pnl", "fees", "turnover")


def together(**values: object) -> Done:
    return carry_out(read({**BOTH, **values}))


def alone(symbol: str, **values: object) -> dict[str, Any]:
    return carry_out(read({"lot": "100", "symbol": symbol, **values})).facts


def in_purse(**values: object) -> tuple[Shared, Shared]:
    """Return the purse of all of the recording, and as the gate of 0.02 % ended it."""
    settings = read({**BOTH, **values})
    legs = legs_of(settings)
    overs = [backtesting.prepared(leg) for leg in legs]
    whole = shared([backtesting.ran_over(o, leg) for o, leg in zip(overs, legs, strict=True)], settings.cash)
    event = stopped_at(whole.purse, (2, 10_000))
    assert event is not None
    assert ended_at(whole, event, {}).waited == settings.symbols
    return whole, backtesting._ended_at(whole, event, legs, overs)  # the step between reading and telling


@pytest.mark.parametrize("each", ["", "ETHUSDT: step=0.001, levels=10, mode=short; BTCUSDT: trail_up_to=65000"])
def test_every_symbol_does_what_it_does_alone_and_the_purse_has_the_sum(each: str) -> None:
    own = {"BTCUSDT": {"trail_up_to": "65000"}, "ETHUSDT": {"step": "0.001", "levels": "10", "mode": "short"}}
    single = [alone(symbol, **(own[symbol] if each else {})) for symbol in ("BTCUSDT", "ETHUSDT")]

    facts = together(each=each).facts

    assert [leg["fills_sha256"] for leg in facts["symbols"]] == [one["fills_sha256"] for one in single]
    assert [leg["per_level"] for leg in facts["symbols"]] == [one["per_level"] for one in single]
    for name in SUMS:
        assert [leg[name] for leg in facts["symbols"]] == [one[name] for one in single]
        assert Decimal(facts[name]) == sum(Decimal(one[name]) for one in single)
    base = sum(Decimal(one["opening_equity"]) - 10_000 for one in single)  # what a short grid brings
    assert Decimal(facts["opening_equity"]) == 10_000 + base
    assert Decimal(facts["equity"]) == Decimal(facts["opening_equity"]) + Decimal(facts["pnl"])
    assert (facts["fills"], facts["events"]) == tuple(sum(one[n] for one in single) for n in ("fills", "events"))
    assert Decimal(facts["max_drawdown_quote"]) <= sum(Decimal(one["max_drawdown_quote"]) for one in single)


@pytest.mark.parametrize(
    "values",
    [{}, {"mode": "short"}, {"mode": "short", "each": "ETHUSDT: atr_multiple=2, atr_bar_s=5"},
     {"latency_ms": 50, "each": "BTCUSDT: recentre_steps=2, mode=long"}],
)  # fmt: skip
def test_the_gate_of_the_purse_ends_every_symbol_at_one_event_of_what_it_did_before(values: dict[str, Any]) -> None:
    whole, ended = in_purse(**values)

    counts = events_until(whole.purse, len(ended.purse.at_ns) - 1, 2)
    assert (np.array(list(counts)) < [len(ran.path.at_ns) for ran in whole.runs.values()]).all()
    for number, ran in ended.runs.items():
        before = whole.runs[number]
        kept = int(np.searchsorted(before.log.event, counts[number]))
        assert deals(ran) == deals(before)[:kept]
        assert ran.path.equity(0, counts[number]).tolist() == before.path.equity(0, counts[number]).tolist()
        assert len(ran.path.at_ns) == counts[number]
        assert ran.base_lots == before.base_lots


def test_a_run_that_the_gate_ended_says_so_and_of_whom() -> None:
    facts = together(max_drawdown="0.0002").facts

    assert facts["ended"] == "the drawdown reached its limit"
    assert {leg["ended"] for leg in facts["symbols"]} == {"the drawdown reached its limit"}
    assert Decimal("0.0002") <= Decimal(facts["max_drawdown"]) < Decimal("0.0003")
    assert facts["events"] == sum(leg["events"] for leg in facts["symbols"]) < 34_419


def test_symbols_over_different_recordings_stand_on_one_clock_and_one_that_never_began_is_named() -> None:
    mixed = together(each="ETHUSDT: data=bars").facts
    ended = together(each="ETHUSDT: data=bars", max_drawdown="0.0002").facts

    assert (mixed["data"]["since"][:10], mixed["data"]["until"][:10]) == ("2024-08-08", "2025-05-16")
    assert any(line.startswith("BTCUSDT: A resting order") for line in mixed["assumptions"])
    assert any(line.startswith("ETHUSDT: A bar is read") for line in mixed["assumptions"])
    assert [leg["symbol"] for leg in ended["symbols"]] == ["BTCUSDT"]
    assert ended["waited"] == ["ETHUSDT"]
    assert any("before the first event of ETHUSDT" in line for line in ended["assumptions"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lot": "300"}, r"cash: 10000 USDT is \d+\.\d+ less than all slots of all symbols cost; use more"),
        ({"symbol": "BTCUSDT,XRPUSDT"}, "symbol: .* holds no 'XRPUSDT'"),
        ({"each": "ETHUSDT: queue=log"}, "queue: needs data that carry the book"),
        ({"each": "ETHUSDT: levels=1"}, r"ETHUSDT\.levels: '1' is no whole number"),
    ],
)
def test_what_a_purse_cannot_hold_is_refused_by_field(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnableToBacktest, match=said):
        together(**values)


def test_the_cash_is_shared_and_not_lent_twice() -> None:
    assert alone("BTCUSDT", lot="300")["fills"] > 0  # each alone is paid for by what both together are not
    assert alone("ETHUSDT", lot="300")["fills"] > 0
    assert together(lot="300", cash="12000").facts["fills"] > 0


def test_the_command_prints_the_purse_and_each_symbol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "two.toml"
    written.write_text('symbol = "BTCUSDT,ETHUSDT"\nlot = 100\n[ETHUSDT]\nstep = 0.001\nlevels = 10\nmode = "long"\n')

    assert main(["--config", str(written), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["--config", str(written)]) == 0
    shown = capsys.readouterr().out

    assert [leg["settings"]["levels"] for leg in told["symbols"]] == [20, 10]
    assert told["equity"] == pytest.approx(10_000 + sum(leg["pnl"] for leg in told["symbols"]))
    assert "BTCUSDT,ETHUSDT: 2 grids in one purse of 10000 USDT" in shown
    assert "ETHUSDT: geometric grid, long, 10 levels" in shown
    assert "One purse: every symbol trades as it does alone" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('symbol = "BTCUSDT,ETHUSDT"\n[ETHUSDT]\nlevels = 1\n', "two.toml, line 3: ETHUSDT.levels: '1' is no whole"),
        ('symbol = "BTCUSDT,ETHUSDT"\n[ETHUSDT]\nlevels = [1]\n', "line 3: ETHUSDT.levels: must be a single value"),
        ('symbol = "BTCUSDT,ETHUSDT"\neach = "ETHUSDT: lot=1"\n[BTCUSDT]\nlot = 5\n', "each: stands beside tables"),
        ("levels = 8\n[ETHUSDT]\nlevels = 9\n", "--each: is for several symbols"),
    ],
)
def test_a_slip_in_the_table_of_a_symbol_is_named_with_its_line(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "two.toml"
    written.write_text(text)

    assert main(["--config", str(written)]) == 2
    assert said in capsys.readouterr().err
