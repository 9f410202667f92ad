"""What a training is asked for is read whole or refused by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.training_settings import TrainingSettings, UnusableTraining, read


def test_what_is_left_out_is_as_usual() -> None:
    assert read({"stage": 2}) == TrainingSettings(2, "shipped", (), True, 0, 2, 3, "", "cpu", "", {})


def test_settings_read_back_what_they_wrote() -> None:
    asked = TrainingSettings(
        5, "store:BINANCE", ("BTCUSDT", "ETHUSDT"), False, 7, 9, 1, "ab" * 32, "cuda", "roadmap", {"rate": 0.01}
    )

    assert read(asked.as_json()) == asked


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stage", 6),
        ("stage", True),
        ("stage", "1"),
        ("data", ""),
        ("data", "a\x00b"),
        ("data", "x" * 1_001),
        ("symbols", "BTCUSDT"),
        ("symbols", ["BTC/USDT"]),
        ("symbols", ["BTCUSDT", "BTCUSDT"]),
        ("symbols", [["BTCUSDT"]]),
        ("quick", 1),
        ("seed", -1),
        ("seed", 2**31),
        ("epochs", 0),
        ("epochs", 1.0),
        ("stride", 0),
        ("parent", "abc"),
        ("parent", None),
        ("device", "tpu"),
        ("device", ["cpu"]),
        ("size", "Quick"),
        ("hyper", {"rate": float("nan")}),
        ("hyper", {"rate": "0.1"}),
        ("hyper", {"Rate": 0.1}),
        ("hyper", [["rate", 0.1]]),
        ("colour", "red"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(field: str, value: Any) -> None:
    with pytest.raises(UnusableTraining, match=f"^{field}: ") as caught:
        read({"stage": 0, field: value})

    assert [wrong.field for wrong in caught.value.wrong] == [field]


def test_a_training_without_a_stage_is_refused() -> None:
    with pytest.raises(UnusableTraining, match="stage: is missing"):
        read({})


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(UnusableTraining) as caught:
        read({"stage": 9, "epochs": 0, "colour": "red"})

    assert {wrong.field for wrong in caught.value.wrong} == {"stage", "epochs", "colour"}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=4), VALUES, max_size=2)


@given(st.dictionaries(st.sampled_from([*TrainingSettings(0).as_json(), "other"]), JSON, max_size=4))
def test_anything_is_read_or_refused_by_name(raw: dict[str, Any]) -> None:
    try:
        found = read(raw)
    except UnusableTraining:
        return

    assert read(found.as_json()) == found
