"""Charts of a search hold what its trials say, and nothing of those that say nothing."""

from typing import Any

import pytest

from trading.domain.search_figures import front, heat


def row(number: int, levels: str, step: str, earned: str | None, sharpe: float | None = 0.1) -> dict[str, Any]:
    score = None if earned is None else {"return": earned, "max_drawdown": "0.02", "turnover": "5", "sharpe": sharpe}
    return {"number": number, "parameters": {"levels": levels, "step": step}, "score": score}


ROWS = [row(0, "10", "0.001", "0.01"), row(1, "10", "0.001", "0.03"), row(2, "8", "0.001", "-0.01", None),
        row(3, "8", "0.002", None)]  # fmt: skip


def test_a_square_is_the_mean_of_every_trial_there() -> None:
    drawn = heat(ROWS, "levels", "step", "return")

    trace = drawn["data"][0]
    assert list(zip(trace["x"], trace["y"], trace["customdata"], strict=True)) == [
        ("10", "0.001", [pytest.approx(2.0), 2]), ("8", "0.001", [pytest.approx(-1.0), 1]),
    ]  # fmt: skip
    assert drawn["layout"]["xaxis"]["categoryarray"] == ["8", "10"]  # as numbers, not as words
    scale = trace["marker"]["colorscale"]
    assert [colour for _, colour in scale] == ["--down", "--surface", "--up"]
    assert scale[1][0] == pytest.approx(1 / 3)  # zero lies a third of the way up


def test_what_is_not_known_is_left_out() -> None:
    trace = heat(ROWS, "levels", "step", "sharpe")["data"][0]

    assert trace["x"] == ["10"]
    assert heat([], "levels", "step", "return")["data"][0]["x"] == []


def test_many_values_are_a_line_and_words_are_places() -> None:
    many = [row(n, str(n), "0.001", "0.01") for n in range(2, 60)]

    assert heat(many, "levels", "step", "return")["layout"]["xaxis"]["type"] == "log"
    words = [{**row(n, "8", "0.1", "0.1"), "parameters": {"grid": name, "step": "0.1"}}
             for n, name in enumerate(("geometric", "arithmetic"))]  # fmt: skip
    assert heat(words, "grid", "step", "return")["layout"]["xaxis"]["categoryarray"] == ["arithmetic", "geometric"]


def test_the_front_stands_apart_from_the_others() -> None:
    others, leading = front(ROWS, [1])["data"]

    assert leading["y"] == [pytest.approx(3.0)]
    assert leading["text"] == ["trial 1: levels 10, step 0.001; turnover 5.00"]
    assert len(others["x"]) == 2
