"""`./console backtest`: text, one JSON object or a page from disk, and one line for what cannot be used."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gridconsole.backtest import as_numbers, main

ROOT = Path(__file__).resolve().parents[2]
TICKS = ROOT / "trading" / "data" / "ticks_spot_BTC_ETH_20240808T2354.parquet"
Said = pytest.CaptureFixture[str]


def found(said: Said, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    told: dict[str, Any] = json.loads(said.readouterr().out.splitlines()[-1])
    return told


def refused(said: Said, *arguments: str) -> str:
    assert main(arguments) == 2
    captured = said.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


# --- one grid ---------------------------------------------------------------------------------------------------------


def test_the_defaults_alone_give_a_result(capsys: Said) -> None:
    told = found(capsys)

    assert told["data"]["name"] == TICKS.stem
    assert told["data"]["events"] == 19_904
    assert told["fills"] > 20
    assert told["equity"] == pytest.approx(told["opening_equity"] + told["grid_profit"] + told["inventory_pnl"])
    assert told["fees"] > 0
    assert 0 < told["max_drawdown"] < 0.01
    assert told["sharpe"] is None
    assert "at least 7 are needed" in told["unknown"]["sharpe"]
    assert sum(row["buys"] + row["sells"] for row in told["per_level"]) == told["fills"]
    assert len(told["levels"]) == told["settings"]["levels"] == 20
    assert any("touch" in line or "at its price" in line for line in told["assumptions"])


def test_the_name_the_file_and_the_path_are_the_same_data(capsys: Said) -> None:
    prints = {found(capsys, "--data", data)["fills_sha256"] for data in ("ticks", TICKS.name, TICKS.stem, str(TICKS))}

    assert len(prints) == 1


def test_the_text_holds_figures_levels_and_assumptions(capsys: Said) -> None:
    assert main(["--grid", "arithmetic", "--levels", "8", "--mode", "long", "--through"]) == 0

    text = capsys.readouterr().out
    assert "BTCUSDT: arithmetic grid, long, 8 levels" in text
    assert re.search(r"^ +level +buys +sells", text, re.MULTILINE)
    assert "strictly through it" in text
    assert "Sharpe        unknown" in text


def test_the_page_holds_everything_it_needs(tmp_path: Path, capsys: Said) -> None:
    page = tmp_path / "report.html"

    told = found(capsys, "--html", str(page))

    text = page.read_text()
    around = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # the library speaks of addresses it never asks
    assert not re.search(r"src=|href=|url\(|@import", around)
    assert told["fills_sha256"] in text
    assert all(f'id="fig-{name}"' in text for name in ("equity", "drawdown", "price", "heat"))
    figures = json.loads(re.findall(r'id="figures">(.*?)</script>', text)[0])
    assert len(figures["price"]["layout"]["shapes"]) == 20
    assert all(line.replace("'", "&#x27;") in text for line in told["assumptions"])


def test_a_file_of_settings_is_read_and_the_command_line_wins(tmp_path: Path, capsys: Said) -> None:
    written = tmp_path / "grid.toml"
    written.write_text('mode = "long"\nlevels = 8\nlot = 100.5\n')

    told = found(capsys, "--config", str(written), "--levels", "10")

    settings = told["settings"]
    assert (settings["mode"], settings["levels"], settings["lot"]) == ("long", 10, "100.5")


def test_a_bound_that_no_price_reaches_is_no_bound(capsys: Said) -> None:
    far = found(capsys, "--mode", "long", "--levels", "4", "--lot", "100", "--step", "0.5", "--recentre-steps", "500")
    never = found(capsys, "--mode", "long", "--levels", "4", "--lot", "100", "--step", "0.5")

    assert (far["ladders"], far["equity"]) == (1, never["equity"])


def test_the_core_runs_the_same_grid(capsys: Said) -> None:
    core = found(capsys, "--engine", "core", "--symbol", "ETHUSDT")
    kernel = found(capsys, "--symbol", "ETHUSDT", "--mode", "long", "--prices", "all", "--through")

    assert core["settings"]["mode"] == "long"
    assert core["levels"] == pytest.approx(kernel["levels"], rel=1e-5)
    assert core["equity"] == pytest.approx(kernel["equity"], rel=1e-3)
    assert any("ones that run live" in line for line in core["assumptions"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--levels", "1"], "--levels: '1' is no whole number from 2 to 500"),
        (["--fee-maker", "x", "--lot", "0"], "--fee-maker: 'x' is no plain number"),
        (["--lower", "1"], "--upper: is missing; give both bounds"),
        (["--lot", "1"], "lot: 1 is below the venue's smallest order at"),
        (["--lot", "1000"], "cash: 10000 USDT is 8980.01 less than all slots cost; use more"),
        (["--data", ""], "--data: is empty"),
        (["--data", "nowhere.parquet"], "nowhere.parquet: cannot be read (No such file or directory)"),
        (["--symbol", "XRPUSDT"], "holds no 'XRPUSDT'; use BTCUSDT, ETHUSDT."),
        (["--config", "nowhere.toml"], "--config: 'nowhere.toml' cannot be read (No such file or directory)"),
        (["--html", "nowhere/report.html"], "--html: 'nowhere/report.html' is no place for a file"),
        (["--desk", "giant"], "--desk: 'giant' is no demo desk; use one of micro, production."),
        (["--desk", "micro", "--levels", "8"], "leave out --levels."),
        (["--fee-maker", "0.000000001"], "use e.g. (1, 1000)"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments: list[str], said: str, capsys: Said) -> None:
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("levels = 1\n", "grid.toml, line 1: levels: 1 is no whole number"),
        ("\nlevel = 8\n", "grid.toml, line 2: level: is not known"),
        ("# nothing\n", "says nothing; write lines such as levels = 20."),
        ("levels = \n", "grid.toml, line 1: levels: is no valid TOML"),
        ("[grid]\nlevels = 8\n", "grid.toml, line 1: grid: must be a single value"),
    ],
)
def test_a_slip_in_a_file_of_settings_is_named_with_its_line(
    tmp_path: Path, text: str, said: str, capsys: Said
) -> None:
    written = tmp_path / "grid.toml"
    written.write_text(text)

    assert said in refused(capsys, "--config", str(written))


def test_an_unreadable_recording_is_said_in_one_line(tmp_path: Path, capsys: Said) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_text("no parquet")

    assert "broken.parquet: cannot be read as Parquet" in refused(capsys, "--data", str(broken))


def test_text_that_only_looks_like_a_number_stays_what_was_asked() -> None:
    assert as_numbers({"equity": "1.5", "settings": {"lot": "5"}, "why": "-", "rows": [{"price": "2"}]}) == {
        "equity": 1.5, "settings": {"lot": "5"}, "why": "-", "rows": [{"price": 2.0}],
    }  # fmt: skip


def test_a_grid_over_a_file_needs_no_django() -> None:
    script = (
        "import sys; from gridconsole.backtest import main; status = main(['--levels', '4', '--json']);"
        "print(status, 'django' in sys.modules, 'plotly' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "0 False False"


# --- a whole desk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", ["micro", "production"])
def test_both_desks_fill_early_in_the_shipped_recording(desk: str, capsys: Said) -> None:
    done = found(capsys, "--desk", desk)

    first = done["first_fill_after_s"]
    assert isinstance(first, float)
    assert first < 80
    assert done["events"] == 166_351
    assert (done["halts"], done["discrepancies"]) == ([], [])
    assert desk != "micro" or done["orders"] <= 20


def test_a_desk_as_text_names_its_assumptions_and_the_digest(capsys: Said) -> None:
    assert main(["--desk", "micro"]) == 0

    text = capsys.readouterr().out
    assert "Micro $300" in text
    assert re.search(r"fills sha256 +[0-9a-f]{64}", text)
    assert "Assumptions:" in text


def test_a_desk_without_a_recording_is_said_in_one_line(capsys: Said) -> None:
    assert "none.parquet: cannot be read" in refused(capsys, "--desk", "micro", "--data", "none.parquet")
