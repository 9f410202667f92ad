"""`./console sweep`: text, one JSON object, and one line for what cannot be used."""

import json
from typing import Any

import pytest

from gridconsole.sweep import main

Said = pytest.CaptureFixture[str]
VARY = ("--vary", "levels=6..18 by 6", "--vary", "step=0.0008, 0.0016", "--mode", "long")


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


def test_json_holds_every_trial_and_says_under_which_assumptions(capsys: Said) -> None:
    told = found(capsys, *VARY, "--folds", "3", "--purge-s", "5")

    assert told["counts"]["tried"] == len(told["trials"]) == 6
    assert told["plan"]["vary"] == {"levels": "6..18 by 6", "step": "0.0008, 0.0016"}
    assert len(told["folds"]) == 3
    assert told["trials"][0]["parameters"] == {"levels": "6", "step": "0.0008"}
    assert isinstance(told["best"]["score"]["return"], float)
    assert told["deflated"]["trials"] == 6
    assert any("5 s purged" in line for line in told["assumptions"])


def test_text_holds_the_best_its_deflation_the_folds_and_the_front(capsys: Said) -> None:
    assert main([*VARY]) == 0

    text = capsys.readouterr().out
    assert "6 trials: " in text
    assert "that luck alone shows in 6 trials" in text
    assert text.count("tested") >= 4
    assert "out of sample return" in text
    assert "that none beats in return, drawdown and turnover" in text
    assert "Assumptions:" in text


def test_optuna_alone_is_repeated_by_its_seed(capsys: Said) -> None:
    asked = ("--method", "optuna", "--trials", "10", "--seed", "5", "--vary", "levels=6..18", "--mode", "long")

    assert found(capsys, *asked)["trials_sha256"] == found(capsys, *asked)["trials_sha256"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--vary: names nothing to vary"),
        (("--vary", "levels"), "--vary: 'levels' has no values"),
        (("--vary", "levels=8", "--vary", "levels=9"), "--vary: 'levels=9' comes twice"),
        (("--vary", "levels=8..40"), "--levels: is a range without a number of points"),
        (("--vary", "fee-maker=0"), "--fee-maker: cannot be varied"),
        (("--vary", "levels=8", "--method", "x"), "--method: 'x' is not one of grid, random, optuna"),
        (("--vary", "levels=8", "--study", "mine"), "--study: only trials of method optuna"),
        (("--study", "mine", "--levels", "8"), "--study: who joins takes the options of who began it"),
        (("--vary", "levels=8", "--threads", "0"), "--threads: '0' is no whole number from 1 to 256"),
        (("--vary", "levels=8", "--data", "nowhere"), "nowhere: cannot be read"),
        (("--vary", "levels=8", "--folds", "50", "--purge-s", "999"), "purge: 999 s is not from 0 to the"),
        (("--vary", "levels=8, 9", "--lot", "1"), "No trial of 2 could be run"),
        (("--vary", "levels=8", "--symbol", "NOPE"), "symbol: "),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(arguments: tuple[str, ...], reason: str, capsys: Said) -> None:
    assert reason in refused(capsys, *arguments)


def test_it_can_be_cancelled(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading import searching

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(searching, "carry_out", interrupted)

    assert main(VARY) == 130
    assert "Cancelled; nothing of it was kept." in capsys.readouterr().err
