"""The card of a model: what it is, what it was trained on, and what must hold wherever it is used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Final

STAGES: Final = (0, 1, 2, 3, 4, 5)
MODES: Final = ("window", "step")


class UnreadableCard(ValueError):
    """This is no card; the message names the field, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Card:
    """One model, once it is packed never changed."""

    name: str  # "lstm"; with the digest of its package it says which model
    stage: int  # of the roadmap, 0 to 5
    parameters: int  # the true count
    hyper: Mapping[str, Any]  # what the net was built with
    outputs: tuple[str, ...]  # of `Output`, as the ONNX file names them
    mode: str  # "window": the last `window` bars at once; "step": one bar and the state it left
    schema: str  # digest of the features it reads, in their order
    features: tuple[str, ...]
    bar_s: int
    window: int  # bars
    horizons_s: tuple[int, ...]
    symbols: tuple[str, ...]  # it was trained on
    data: str  # where the bars came from
    data_sha256: str
    trained_from_ns: int
    trained_until_ns: int
    purge_s: int
    embargo_s: int
    seeds: tuple[int, ...]
    trials: int  # made on these data before this one and with it
    quick: bool  # trained to show that the way works; no claim of skill
    deadline_ms: float
    ttl_s: int  # how old its last bar may be
    parity: float  # largest difference to the net it was exported from
    mean: tuple[float, ...]  # (F,) of each feature in training; drift is measured against these
    spread: tuple[float, ...]  # (F,) standard deviation, > 0
    bins: tuple[tuple[float, ...], ...]  # (F, 9) deciles of each feature in training
    log_rv: tuple[float, float]  # mean and standard deviation of the first target in training
    versions: Mapping[str, str]  # of torch, onnx, the opset and this product
    made_at: str  # ISO 8601, UTC
    parent: str = ""  # digest of the model it was fine-tuned from

    def as_json(self) -> dict[str, Any]:
        """Return the card as plain JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]  # tuples become lists


def read_card(text: bytes) -> Card:
    """Return the card in `text`.

    Raises:
        UnreadableCard: it is no JSON, a field is missing, unknown or of another type, or a value is out of range.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise UnreadableCard("card.json is no JSON; register the model again.") from error
    if not isinstance(raw, dict):
        raise UnreadableCard("card.json holds no fields; register the model again.")
    known = {field.name: field for field in fields(Card)}
    for name in raw:
        if name not in known:
            raise UnreadableCard(f"{name}: no field of a card; use the version that wrote it.")
    for name in known:
        if name not in raw and name != "parent":
            raise UnreadableCard(f"{name}: missing; register the model again.")
    card = Card(**{name: _frozen(value) for name, value in raw.items()})
    _check(card)
    return card


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _check(card: Card) -> None:
    count = len(card.features)
    rules: tuple[tuple[str, bool, str], ...] = (
        ("name", isinstance(card.name, str) and card.name.isidentifier(), "is no plain word"),
        ("stage", card.stage in STAGES, f"is not one of {STAGES}"),
        ("parameters", _whole(card.parameters, 1), "is no count above zero"),
        ("outputs", _words(card.outputs) and bool(card.outputs), "are no names"),
        ("mode", card.mode in MODES, f"is not one of {', '.join(MODES)}"),
        ("features", _words(card.features) and count > 0, "are no names"),
        ("symbols", _words(card.symbols), "are no names"),
        ("bar_s", _whole(card.bar_s, 1), "is no count of seconds"),
        ("window", _whole(card.window, 1), "is no count of bars"),
        ("horizons_s", _wholes(card.horizons_s), "are no counts of seconds"),
        ("seeds", _wholes(card.seeds, 0), "are no whole numbers"),
        ("trials", _whole(card.trials, 1), "is no count above zero"),
        ("ttl_s", _whole(card.ttl_s, 1), "is no count of seconds"),
        ("deadline_ms", _number(card.deadline_ms) and card.deadline_ms > 0, "is no time above zero"),
        ("parity", _number(card.parity) and card.parity >= 0, "is no difference"),
        ("mean", _numbers(card.mean, count), "is not one finite number a feature"),
        ("spread", _numbers(card.spread, count) and min(card.spread) > 0, "is not one number above zero a feature"),
        ("bins", len(card.bins) == count and all(_numbers(row, 9) for row in card.bins), "are not 9 numbers a feature"),
        ("log_rv", _numbers(card.log_rv, 2), "is not a mean and a standard deviation"),
        ("quick", isinstance(card.quick, bool), "is neither true nor false"),
    )
    for name, holds, reason in rules:
        if not holds:
            raise UnreadableCard(f"{name}: {getattr(card, name)!r:.60} {reason}; register the model again.")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _numbers(values: object, count: int) -> bool:
    return isinstance(values, tuple) and len(values) == count and all(map(_number, values))


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _wholes(values: object, least: int = 1) -> bool:
    return isinstance(values, tuple) and bool(values) and all(_whole(value, least) for value in values)


def _words(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) and value for value in values)
