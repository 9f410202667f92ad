"""PAPER, TESTNET, LIVE: how each is marked, and what a desk needs beyond PAPER before an order may leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """Where the orders of an account go."""

    PAPER = "PAPER"
    TESTNET = "TESTNET"
    LIVE = "LIVE"


ID_MARKS: Final[Mapping[Mode, str]] = {Mode.PAPER: "gc", Mode.TESTNET: "gt", Mode.LIVE: "gl"}  # begin an order's id


@dataclass(frozen=True, slots=True)
class ArmingRecord:
    """The newest word about whether an account may trade beyond PAPER."""

    is_armed: bool
    build: str  # the code and configuration that were approved
    by: str
    at: datetime
    why: str = ""  # of a disarming


def id_prefix(account: str, mark: str) -> str:
    """Return what every order id of an account begins with."""
    return f"{mark}-{account}-"


def why_not_trade(mode: Mode, record: ArmingRecord | None, build: str) -> str:
    """Return why no order of an account may leave a process that runs `build`, or an empty text."""
    if mode is Mode.PAPER:
        return ""
    if record is None:
        return f"{mode} was never armed: two people arm it on the page Going live"
    if not record.is_armed:
        return f"{mode} was disarmed by {record.by}{f': {record.why}' if record.why else ''}"
    if record.build != build:
        return f"{mode} was armed for code and configuration {record.build}, this process runs {build}: arm it again"
    return ""
