"""What can go wrong between a trader and its venue, and how often it does in one world."""

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Final

SWITCHED_OFF: Final = 0.4  # share of the kinds that a world does without: rare ones must not hide behind frequent ones


@dataclass(slots=True)
class Faults:
    """Every number is a probability: of one message, one turn, or one second."""

    # one request
    lost_request: float = 0.0  # never arrives; the client times out
    late_request: float = 0.0  # arrives after the client gave up, within recvWindow and the venue's own time-out
    lost_answer: float = 0.0  # executed, the answer is a 502, a -1007 or nothing
    throttled: float = 0.0  # 429 with Retry-After
    refused: float = 0.0  # -1021, definitive
    failed_read: float = 0.0
    slow_read: float = 0.0  # its parts are seconds apart
    lost_cancel: float = 0.0
    # one report on the account stream
    doubled: float = 0.0
    dropped_report: float = 0.0
    # one turn that has something to send
    crash_in_turn: float = 0.0
    # one second of an account
    crash: float = 0.0
    freeze: float = 0.0  # SIGSTOP: another process takes over, the old one wakes up later
    stream_away: float = 0.0  # the account stream is gone for a few seconds
    halt: float = 0.0
    pause: float = 0.0  # a person pauses a symbol
    mandate: float = 0.0  # governance puts other limits in force
    human: float = 0.0  # a person trades on the same account
    # one second of the world
    feed_lost: float = 0.0
    defect: float = 0.0  # a market message that makes no sense
    seam: float = 0.0


WORST: Final = Faults(
    lost_request=0.12,
    late_request=0.30,
    lost_answer=0.15,
    throttled=0.05,
    refused=0.04,
    failed_read=0.25,
    slow_read=0.3,
    lost_cancel=0.15,
    doubled=0.35,
    dropped_report=0.30,
    crash_in_turn=0.05,
    crash=0.06,
    freeze=0.02,
    stream_away=0.03,
    halt=0.04,
    pause=0.03,
    mandate=0.03,
    human=0.03,
    feed_lost=0.02,
    defect=0.30,
    seam=0.02,
)
NONE: Final = Faults()


def draw(random: Random) -> Faults:
    """Return the faults of one world: some kinds switched off, the others anywhere up to their worst."""
    drawn = replace(NONE)
    for fault in fields(Faults):
        if random.random() >= SWITCHED_OFF:
            setattr(drawn, fault.name, random.uniform(0, getattr(WORST, fault.name)))
    return drawn
