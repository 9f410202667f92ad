"""The tag of a phase that succeeded."""

from datetime import UTC, datetime

import pytest

from riskops.domain.releases import tag_message, tag_name


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        ("4.0", "v4.0.0-phase4.0-success"),
        ("4.1", "v4.1.0-phase4.1-success"),
        ("4.2", "v4.2.0-phase4.2-success"),
        ("4.3", "v4.3.0-phase4.3-success"),
        ("4.4a", "v4.4.1-phase4.4a-success"),
        ("4.4b", "v4.4.2-phase4.4b-success"),
        ("4.4c", "v4.4.3-phase4.4c-success"),
        ("5", "v5.0.0-phase5-success"),
    ],
)
def test_each_phase_has_its_tag(phase: str, name: str) -> None:
    assert tag_name(phase) == name
    assert tag_name(phase, desk="micro-3") == f"{name}-micro-3"


@pytest.mark.parametrize("phase", ["", "4", "4.4", "4.5", "4.0; rm", "6"])
def test_what_is_no_phase_has_none(phase: str) -> None:
    with pytest.raises(ValueError, match="is no phase of the roadmap") as refused:
        tag_name(phase)

    known = "4.0, 4.1, 4.2, 4.3, 4.4a, 4.4b, 4.4c, 5"
    assert str(refused.value) == f"{phase} is no phase of the roadmap; its phases are {known}."


def test_the_tag_says_run_digest_and_signers() -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    message = tag_message(
        phase_id="4.0",
        desk="micro",
        run=7,
        request=9,
        digest="ab",
        signers=[("CTO", "cto"), ("Engineer", "eva")],
        at=at,
    )

    assert message.splitlines() == [
        "Phase 4.0 succeeded at micro",
        "",
        "Run: 7",
        "Request: 9",
        "Evidence: sha256:ab",
        "Decided: 2026-11-21T12:00:00Z",
        "Signed: CTO: cto",
        "Signed: Engineer: eva",
    ]
