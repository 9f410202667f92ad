"""Whatever stands behind a command, it says in one line what is wrong and exits with an error; never a traceback."""

import os
from pathlib import Path
from typing import Any

import pytest

import manage
from gridconsole import up
from tests.fuzz.console.world import World, difference
from tests.fuzz.hostile import promptly
from trading.models import Halt
from trading.simulator import __main__ as simulator
from trading.simulator.server import running_exchange

NUMBERS = ["x", "", " ", "1e3x", "0x10", "--", "1,5", "\udcff", "9" * 5_000]
NO_SECONDS = [*NUMBERS, "nan", "-inf", "inf", "-1", "1e999"]
NO_COUNTS = [*NUMBERS, "0", "-1", "nan", "1.5", "1e3"]
NO_PORTS = [*NUMBERS, "-1", "65536", "99999999999", "80.5"]
NO_FILES = [
    "", ".", "/", "/dev/null", "nowhere.parquet", "a" * 5_000, "x/" * 3_000, "\udcff", "\x00", "~nobody", "TICKS",
]  # fmt: skip
NO_SCOPES = [
    "nobody", "micro/", "micro/NOPE", "*/", "/", "\udcff", "\x00", "micro/BTCUSDT/x", "a" * 5_000, "MICRO", "=1",
]  # fmt: skip

BAD: dict[str, list[Any]] = {
    "halt --wait": NO_SECONDS,
    "halt --account": NO_SCOPES,
    "backtest --data": NO_FILES,
    "backtest --desk": ["nobody", "", "\udcff"],
    "backtest --config": NO_FILES,
    "backtest --html": ["", ".", "/", "nowhere/x.html", "a" * 5_000 + "/x", "\x00/x", "\udcff/x"],
    "backtest --symbol": ["nobody", "", "\udcff", "\x00", "a" * 5_000, ",", "BTCUSDT,", "X,X", "A," * 3_000],
    "backtest --each": ["nobody", "", "\udcff", "\x00", "BTCUSDT: levels=8", ":" * 5_000, ";;=,"],
    "backtest --levels": NO_COUNTS,
    "backtest --lot": NO_SECONDS,
    "backtest --latency-ms": NO_SECONDS,
    "backtest --queue": ["nobody", "", "\udcff", "log", "power:0", "power:" + "9" * 5_000],
    "backtest --engine": ["nothing", "", "\udcff", "CORE"],
    "sweep --vary": ["levels", "", "=", "\udcff", "levels=\x00", "levels=" + "9" * 5_000, "nope=1", "data=x"],
    "sweep --vary levels=8 --method": ["nothing", "\udcff", "GRID"],
    "sweep --vary levels=8 --folds": NO_COUNTS,
    "sweep --threads": [*NO_COUNTS, "257"],
    "sweep --study": ["", "\x00", "\udcff", "a" * 5_000],
    "simulate --seeds": NO_COUNTS,
    "simulate --from": [*NUMBERS, "-1", "nan"],
    "simulate --processes": NO_COUNTS,
    "mutants --seeds": NO_COUNTS,
    "mutants --processes": NO_COUNTS,
    "simulator --port": NO_PORTS,
    "simulator --instance": [" ", "a/b", "../x", "{name}", "\udcff", "\x00", "a" * 65],
    "simulator --speed": [*NUMBERS, "nan", "inf", "0", "-1", "61"],
    "simulator --latency-ms": NO_SECONDS,
    "simulator --min-notional": [*NUMBERS, "nan", "-1", "1e999"],
    "simulator --dataset": NO_FILES,
    "up --port": [port for port in NO_PORTS if port.strip()],  # what is empty is not given
    "up --speed": ["x", "0x10", "\udcff", "9" * 5_000, "nan", "0", "61"],
    "up --dataset": [name for name in NO_FILES if name],
    "bench": ["nothing", "", "\udcff", "--json"],
    "models": ["nothing", "\udcff", "--nothing"],
    "models show": ["", "x", "abc", "\udcff", "\x00", "0" * 5_000],
    "verify_audit": ["--nothing", "x"],
    "demo": ["--nothing", "x"],
    "watchdog": ["--nothing", "x"],
    "smoke": ["--nothing", "x"],
    "": ["nothing", "\udcff"],
}
ARGUMENTS = [[*command.split(), value] for command, values in BAD.items() for value in values]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let a command that accepts its arguments end at once, with a status that says so."""

    def accepted(*_: object) -> None:
        raise SystemExit(0)

    async def serve(options: simulator.Options) -> int:
        async with running_exchange(
            dataset=options.dataset, speed=options.speed, port=options.port, latency_ms=options.latency_ms,
            min_notional=options.min_notional,
        ):  # fmt: skip
            return 0

    monkeypatch.setattr(up, "Screen", accepted)
    monkeypatch.setattr(simulator, "_serve", serve)
    monkeypatch.setattr(os, "environ", {**os.environ})
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda arguments: ascii(" ".join(arguments))[:60])
def test_a_bad_argument_is_refused_in_one_line(
    world: World, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] == "halt":  # no other one here is allowed near the tables
        world.settle("riskops:halt")

    status = run(arguments)

    told = [line for line in capfd.readouterr().err.splitlines() if line and not line.startswith(("usage:", " "))]
    assert status not in (0, None)
    assert len(told) == 1 or told[1].startswith("Type "), told
    assert "Traceback" not in told[0]
    assert arguments[0] != "halt" or not difference(world.state, world.digest())


@pytest.mark.parametrize("reason", ["\udcff", "x" * 5_000, "\x00", "", "\u202e\U0001f600"], ids=ascii)
def test_no_reason_keeps_a_halt_from_being_latched(world: World, reason: str) -> None:
    world.settle("riskops:halt")

    run(["halt", "--account", "micro", "--wait", "0", "--reason", reason])

    assert Halt.objects.filter(account=world.micro, released_at=None).exists()


def run(arguments: list[str]) -> Any:
    """Return the exit status of `./console` with `arguments`."""
    try:
        with promptly():
            return manage.main(["./console", *arguments])
    except SystemExit as end:
        return end.code
