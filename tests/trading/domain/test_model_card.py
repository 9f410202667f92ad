"""A card is read strictly: whatever is missing, unknown or out of range is refused by name."""

import json
from typing import Any

import pytest

from trading.domain.model_card import Card, UnreadableCard, read_card

CARD = Card(
    name="lstm",
    stage=0,
    parameters=8_770,
    hyper={"hidden": 32},
    outputs=("log_rv",),
    mode="step",
    schema="ab",
    features=("one", "two"),
    bar_s=300,
    window=64,
    horizons_s=(3_600,),
    symbols=("BTCUSDT",),
    data="shipped bars",
    data_sha256="cd",
    trained_from_ns=0,
    trained_until_ns=1,
    purge_s=3_600,
    embargo_s=86_400,
    seeds=(0,),
    trials=1,
    quick=True,
    deadline_ms=5.0,
    ttl_s=600,
    parity=1e-7,
    mean=(0.0, 1.0),
    spread=(1.0, 2.0),
    bins=((1.0,) * 9, (2.0,) * 9),
    log_rv=(-9.0, 1.0),
    versions={"torch": "2.13.0"},
    made_at="2026-01-01T00:00:00+00:00",
)


def test_what_was_written_is_read() -> None:
    assert read_card(json.dumps(CARD.as_json()).encode()) == CARD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../lstm"),
        ("stage", 6),
        ("parameters", 0),
        ("parameters", True),
        ("outputs", []),
        ("mode", "both"),
        ("features", ["one", ""]),
        ("mean", [0.0]),
        ("mean", [0.0, float("nan")]),
        ("spread", [1.0, 0.0]),
        ("bins", [[1.0] * 9]),
        ("deadline_ms", 0),
        ("ttl_s", -1),
        ("quick", "yes"),
        ("horizons_s", []),
        ("surprise", 1),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: Any) -> None:
    text = json.dumps({**CARD.as_json(), field: value}).encode()

    with pytest.raises(UnreadableCard, match=f"^{field}: "):
        read_card(text)


@pytest.mark.parametrize("field", ["name", "mean", "ttl_s", "made_at"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    raw = CARD.as_json()
    del raw[field]

    with pytest.raises(UnreadableCard, match=f"^{field}: missing"):
        read_card(json.dumps(raw).encode())


@pytest.mark.parametrize("text", [b"", b"\x80\x04.", b"[]", b'"card"', b"{"])
def test_what_is_no_card_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableCard):
        read_card(text)
