"""The comparison with other engines: its tapes never change, its gate refuses a difference, what is missing is said."""

import json
import subprocess
import venv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import backtest, bookflows, engines, environments, equality, gridtapes, sweep
from benchmarks.engines import Spec
from benchmarks.peers import job, run_own, run_own_queue, run_plain
from trading.domain import depth

SPEC = Spec(9_700, 10_300, 40, 3, 20_000.0)
LATE = {"submit_ns": 3_000_000_000, "report_ns": 3_000_000_000}


def answer(module: Any, prints: gridtapes.Prints, **more: Any) -> dict[str, Any]:
    """Return what a runner of ours says of a tape, without a process."""
    grid = job.grid_of(SPEC.grid(int(prints.ticks[0])) | more)
    tape = job.Tape(prints.at_ns, prints.ticks, prints.side)
    result = module.collect(module.run(module.prepare(tape, grid), tape, grid), tape, grid)
    return {
        "tape_sha256": tape.sha256(),
        "ticks": len(prints),
        "fills": len(result.fills),
        "fills_sha256": job.digest(result.fills),
        "cash": result.cash,
        "lots": result.lots,
        "equity": result.equity(int(prints.ticks[-1])),
    }


@pytest.fixture(scope="module")
def prints() -> gridtapes.Prints:
    return gridtapes.reverting(20_000)


# --- tapes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "digest"),
    [
        (gridtapes.reverting(20_000), "085edad190ecb98d645575100af5687c19d9f14caf1029d0bc1325cb6a3da4a7"),
        (
            gridtapes.reverting(20_000, seed=gridtapes.SEED + 1),
            "80f6019b95c96b23f2dcc48396ff1167d06bdef7a0b06119d94e2395986a1b38",
        ),
        (gridtapes.tops(20_000), "06d251ae4164397ae1501674435e44f2c0b23f49bb8d56506879a9771fbf99c5"),
        (gridtapes.shipped(), "ba0a0c4245d5d85649c6d0b4dcd59469432a53b23c951ce9903560883fe74746"),
    ],
    ids=["sparse", "another seed", "tops", "shipped"],
)
def test_a_tape_is_the_same_on_every_machine(made: gridtapes.Prints, digest: str) -> None:
    assert made.sha256() == digest
    assert (np.diff(made.at_ns) > 0).all()
    assert (made.ticks[: gridtapes.FLAT] == made.ticks[0]).all()


def test_a_made_price_moves_by_at_most_nine_ticks_and_comes_back(prints: gridtapes.Prints) -> None:
    assert np.abs(np.diff(prints.ticks)).max() <= 10  # nine, and the pull
    assert abs(gridtapes.reverting(200_000).ticks.mean() - gridtapes.CENTRE) < 150


def test_the_taker_bought_above_the_last_price_and_sold_below_it() -> None:
    assert gridtapes.tick_rule(np.array([5, 5, 6, 6, 4, 4, 5])).tolist() == [1, 1, 1, 1, -1, -1, 1]


def test_a_runner_reads_the_very_tape_that_was_written(prints: gridtapes.Prints, tmp_path: Path) -> None:
    read = job.read_tape(prints.write(tmp_path / "prints.tape"), None)

    assert read.sha256() == prints.sha256()


# --- the gate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{}, LATE, {"by_side": True}, LATE | {"by_side": True}], ids=["", "late", "side", "late and side"]
)
def test_the_kernel_does_what_the_plain_grid_does(prints: gridtapes.Prints, more: dict[str, Any]) -> None:
    own, plain = answer(run_own, prints, **more), answer(run_plain, prints, **more)

    assert equality.differences(own, plain) == []
    assert own["fills"] > 100


@pytest.mark.parametrize(
    "change",
    [{"fills": 1}, {"fills_sha256": "0"}, {"cash": 0.01}, {"lots": 1}, {"equity": 0.00001}, {"tape_sha256": "0"}],
    ids=lambda change: next(iter(change)),
)
def test_an_engine_that_did_anything_else_has_no_figure(prints: gridtapes.Prints, change: dict[str, Any]) -> None:
    own = answer(run_own, prints)
    changed = {k: v if isinstance(v, str) else own[k] + v for k, v in change.items()}

    with pytest.raises(equality.Unequal, match=f"a peer and we did not do the same: {next(iter(change))}"):
        equality.judge("a peer", own | changed, own, {"one_a_print": lambda: own})


def test_the_order_of_two_fills_counts(prints: gridtapes.Prints) -> None:
    grid = job.grid_of(SPEC.grid(int(prints.ticks[0])))
    tape = job.Tape(prints.at_ns, prints.ticks, prints.side)
    fills = run_own.collect(run_own.run(run_own.prepare(tape, grid), tape, grid), tape, grid).fills

    assert job.digest(fills) != job.digest(fills[[1, 0, *range(2, len(fills))]])


def test_a_difference_passes_only_under_the_rule_whose_counter_run_equals_it(prints: gridtapes.Prints) -> None:
    jumping = replace(prints, ticks=np.where(np.arange(len(prints)) % 500 < 250, prints.ticks, prints.ticks - 80))
    own, peer = answer(run_own, jumping), answer(run_plain, jumping, one_a_print=True)

    verdict = equality.judge("a peer", peer, own, {"one_a_print": lambda: peer})

    assert verdict.rule == "one_a_print"
    assert verdict.fills_apart == peer["fills"] - own["fills"] != 0
    with pytest.raises(equality.Unequal):
        equality.judge("a peer", peer, own, {})


def test_money_that_is_no_number_is_not_equal(prints: gridtapes.Prints) -> None:
    own = answer(run_own, prints)

    with pytest.raises(equality.Unequal):
        equality.judge("a peer", own | {"equity": float("nan")}, own, {})


# --- not run --------------------------------------------------------------------------------------------------


def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the installer find nothing."""

    def refuse(command: Any, **_: Any) -> Any:
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: No matching distribution found\n")

    monkeypatch.setattr(venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(environments, "FOLDER", tmp_path)


def test_a_peer_that_cannot_be_installed_is_not_run_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing_installed(monkeypatch, tmp_path)

    found, missing = backtest.interpreters(["hftbacktest"])

    assert found == {}
    assert missing["hftbacktest"].endswith("could not be installed: ERROR: No matching distribution found")
    assert missing["vectorbt"] == "not asked for"


def test_an_environment_is_made_once_and_again_when_its_pins_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Path] = []

    def make(home: Path, peer: environments.Peer) -> None:
        (home / "bin").mkdir(parents=True, exist_ok=True)
        (home / "bin" / "python").touch()
        made.append(home)

    monkeypatch.setattr(environments, "_make", make)
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    for _ in range(2):
        environments.python_of(environments.HFTBACKTEST)
    assert len(made) == 1

    (tmp_path / "hftbacktest" / "pins").write_text("older")
    environments.python_of(environments.HFTBACKTEST)
    assert len(made) == 2


def bench_without_peers(tmp_path: Path) -> backtest.Bench:
    tapes = engines.Tapes(tmp_path, count=5_000)
    return backtest.Bench(tapes, 1, {}, {peer.name: "no network" for peer in environments.PEERS}, [])


def test_without_its_recording_a_tape_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gridtapes, "LTC", tmp_path / "trades.parquet")

    told = backtest.measure(bench_without_peers(tmp_path), "ltc", backtest.CASES["ltc"])

    assert told["not_run"].startswith("trades.parquet is not in ")


def test_without_peers_there_are_no_ratios_and_every_bound_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = {"runs": [{"wall_s": 0.1, "cpu_s": 0.1}], "cold_s": 1.0, "cold_cpu_s": 1.0, "prepare_s": 0.0, "load": 0.0}
    monkeypatch.setitem(gridtapes.MAKERS, "sparse", lambda: gridtapes.reverting(5_000))
    did = {"fills": 3, "fills_sha256": "f", "equity": 1.0, "ticks": 5_000, "tape_sha256": "t", "tuned": []}
    monkeypatch.setattr(engines, "run", lambda *_, **__: done | did | {"version": "", "peak_mb": 1.0})

    told = backtest._measured(bench_without_peers(tmp_path), ["sparse"])

    assert told["own"]["ticks_per_cpu_s"] == 50_000
    assert told["peers"]["hftbacktest"] == {"not_run": "no network"}
    ratios = {name: told[name] for name in backtest.BOUNDS if name != "unequal"}
    assert set(ratios.values()) == {None}
    assert not any(backtest.BOUNDS[name].is_met(value) for name, value in ratios.items())


# --- numbers --------------------------------------------------------------------------------------------------


def test_a_ratio_is_the_median_of_those_of_each_round() -> None:
    def took(seconds: float, cold_s: float) -> dict[str, Any]:
        compiled, warm = {"wall_s": 9.0, "cpu_s": 9.0}, {"wall_s": seconds, "cpu_s": seconds}
        return {"runs": [compiled, warm], "cold_s": cold_s, "peak_mb": 100.0}

    pairs = [(took(0.1, 1.0), took(2.0, 6.0)), (took(0.2, 1.0), took(2.0, 7.0)), (took(0.1, 1.0), took(3.0, 8.0))]

    assert backtest.ratios(pairs) == {"cpu": 20.0, "wall": 20.0, "cold": 7.0, "memory": 1.0}
    assert backtest.jit_s(took(0.5, 1.0)) == 8.5


def test_grids_of_a_sweep_rise_and_none_is_there_twice() -> None:
    levels = [tuple(spec.levels()) for spec in sweep.specs()]

    assert len(set(levels)) == sweep.CONFIGURATIONS
    assert all(low < high for grid in levels for low, high in pairwise(grid))
    assert sweep.sample(4, 10) == [0, 2, 5, 7]
    assert sweep.sample(40, 3) == [0, 1, 2]


def test_a_sample_that_differs_in_one_grid_is_counted() -> None:
    ours = [[k, "", float(k)] for k in range(10)]
    theirs = [[0, "x", 0.0], [2, "x", 2.0], [5, "x", 5.00001], [7, "x", 7.0]]

    assert sweep.differing(theirs, ours) == 1


def test_every_peer_is_pinned() -> None:
    for peer in environments.PEERS:
        name = "backtesting" if peer.name == "backtesting.py" else peer.name
        pinned = [line for line in peer.pins.read_text().splitlines() if not line.startswith("#")]
        assert any(line.startswith(f"{name}==") for line in pinned)
        assert all("==" in line for line in pinned)


def test_the_grids_of_a_run_are_plain_json() -> None:
    for case in backtest.CASES.values():
        json.dumps(case.spec.grid(case.spec.low))


# --- queue and partial fills ----------------------------------------------------------------------------------


def test_parts_of_an_order_that_fill_at_one_time_are_one_row() -> None:
    parts = np.array([[7, 3, -1, 4], [5, 2, 1, 2], [7, 3, -1, 6], [5, 4, 1, 1], [7, 4, -1, 10]])

    assert job.joined(parts).tolist() == [[5, 4, 1, 1], [5, 2, 1, 2], [7, 3, -1, 10], [7, 4, -1, 10]]


def a_book() -> bookflows.Book:
    """A book of two levels a side; a seller fills the buy at 100 in two parts, then a buyer pays 104."""
    rows = [
        (0, depth.BID, 101, 10), (0, depth.BID, 100, 4), (0, depth.ASK, 102, 6), (0, depth.ASK, 103, 8),
        (50_000_000, depth.BID, 101, 0), (60_000_000, depth.SOLD, 100, 6), (60_000_000, depth.SOLD, 100, 5),
        (70_000_000, depth.SOLD, 100, 30), (90_000_000, depth.BOUGHT, 104, 1), (99_000_000, depth.ASK, 102, 0),
    ]  # fmt: skip
    return bookflows.Book(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


@pytest.mark.parametrize(("partial", "lots"), [(True, [7, 14, 21]), (False, [21, 21])], ids=["parts", "whole"])
def test_the_queue_runner_waits_its_turn(partial: bool, lots: list[int], tmp_path: Path) -> None:
    case = backtest.QueueCase("usdm_BTCUSDT", 2, "risk-averse", partial=partial)
    grid = job.grid_of(case.grid(a_book()) | {"levels": [98, 100, 101], "empty": 2, "cash": 1e9})
    tape = job.read_tape(a_book().write(tmp_path / "book.npz"), None)

    result = run_own_queue.collect(run_own_queue.run(run_own_queue.prepare(tape, grid), tape, grid), tape, grid)

    assert tape.sha256() == a_book().sha256()
    assert result.fills[:, 1:3].tolist() == [[1, 1]] * (len(lots) - 1) + [[2, -1]]
    assert result.fills[:, 3].tolist() == lots
    assert result.lots == 0


def test_without_its_recording_a_book_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bookflows, "RECORDED", tmp_path)

    told = backtest.measure_queue(bench_without_peers(tmp_path), "queue_log", backtest.QUEUES["queue_log"])

    assert told["not_run"].startswith("binance-usdm_ETHUSDT_20240808_l2snap.parquet, binance-usdm_ETHUSDT")


def test_the_queue_figure_is_that_of_the_slowest_case_and_none_while_one_is_missing() -> None:
    def case(ratio: float) -> dict[str, Any]:
        return {"peers": {"hftbacktest": {"own_is_faster": {"cpu": ratio}}}}

    told = {name: case(ratio) for name, ratio in zip(backtest.QUEUES, (4.0, 2.5, 9.0, 3.0), strict=True)}

    assert backtest.headline(told, {})["queue_times_hftbacktest"] == 2.5
    assert backtest.headline(dict(list(told.items())[:3]), {})["queue_times_hftbacktest"] is None
