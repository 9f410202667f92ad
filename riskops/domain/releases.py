"""The tag of a phase that succeeded: its name, and what stands in it."""

from collections.abc import Sequence
from datetime import datetime

from riskops.domain.steps import ROADMAP


def tag_name(phase_id: str, *, desk: str = "") -> str:
    """Return the tag of a phase; `desk` where the plain name is taken by another success of the same phase.

    The roadmap names v4.0.0-phase4.0-success. The parts of 4.4 count in the last number, and 5 is a new first one:
    v4.4.1-phase4.4a-success, v4.4.2-phase4.4b-success, v4.4.3-phase4.4c-success, v5.0.0-phase5-success.

    Raises:
        ValueError: the roadmap has no such phase.
    """
    if phase_id not in ROADMAP:
        raise ValueError(f"{phase_id} is no phase of the roadmap; its phases are {', '.join(ROADMAP)}.")
    major, _, rest = phase_id.partition(".")
    minor, part = rest.rstrip("abc") or "0", rest[len(rest.rstrip("abc")) :]
    patch = "abc".index(part) + 1 if part else 0
    return f"v{major}.{minor}.{patch}-phase{phase_id}-success{f'-{desk}' if desk else ''}"


def tag_message(
    *, phase_id: str, desk: str, run: int, request: int, digest: str, signers: Sequence[tuple[str, str]], at: datetime
) -> str:
    """Return what an annotated tag holds; `signers` are (role, person)."""
    lines = [
        f"Phase {phase_id} succeeded at {desk}",
        "",
        f"Run: {run}",
        f"Request: {request}",
        f"Evidence: sha256:{digest}",
        f"Decided: {at:%Y-%m-%dT%H:%M:%SZ}",
        *(f"Signed: {role}: {person}" for role, person in signers),
    ]
    return "\n".join(lines) + "\n"
