"""Who may sign and decide a step, and what a signature binds."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from riskops.domain import phases, steps
from riskops.domain.gates import Outcome, Verdict, Window
from riskops.domain.steps import Change, Decision, Signature

FILES = Path("riskops/roadmap")
NEEDED = ("Trading Lead", "Engineer", "CTO")
DIGEST = "a" * 64
ALL = (
    Signature("Trading Lead", 1, True, DIGEST),
    Signature("Engineer", 2, True, DIGEST),
    Signature("CTO", 3, True, DIGEST),
)
PASSED = Verdict(Outcome.PASS, (), Window(Decimal(48), 48))


def phase(name: str) -> phases.Phase:
    return phases.read((FILES / f"{name}.toml").read_text(), name=name)


def why_not(
    decision: Decision = Decision.GO,
    verdict: Verdict = PASSED,
    given: tuple[Signature, ...] = ALL,
    requester: int = 1,
    digest: str = DIGEST,
    notes: str = "",
) -> str:
    return steps.why_not_decide(
        decision, verdict=verdict, needed=NEEDED, given=given, requester=requester, digest=digest, notes=notes
    )


def sign(
    role: str = "CTO", held: set[str] | None = None, person: int = 3, approves: bool = True, note: str = ""
) -> str:
    return steps.why_not_sign(
        role=role,
        roles_held={"CTO"} if held is None else held,
        person=person,
        needed=NEEDED,
        given=ALL[:2],
        approves=approves,
        note=note,
    )


@pytest.mark.parametrize(
    ("phase_id", "last", "allowed"),
    [
        ("4.0", None, True),
        ("4.1", None, False),
        ("5", None, False),
        ("4.1", ("4.0", Decision.GO), True),
        ("4.2", ("4.0", Decision.GO), False),
        ("4.0", ("4.0", Decision.GO), False),
        ("4.0", ("4.0", Decision.NO_GO), True),
        ("4.1", ("4.0", Decision.NO_GO), False),
        ("4.0", ("4.0", Decision.HOLD), True),
        ("4.0", ("4.0", Decision.PENDING), False),
        ("5", ("4.4c", Decision.GO), True),
        ("5", ("5", Decision.GO), False),
        ("4.4", None, False),
    ],
)
def test_no_phase_is_skipped(phase_id: str, last: tuple[str, Decision] | None, allowed: bool) -> None:
    assert (steps.why_not_start(phase_id, last) == "") is allowed


def test_the_roadmap_ends_after_its_last_phase_and_knows_no_other() -> None:
    assert steps.next_phase("4.4c") == "5"
    assert steps.next_phase("5") is None
    with pytest.raises(ValueError, match=r"4\.4 is no phase"):
        steps.next_phase("4.4")


def test_go_needs_a_pass_and_every_signature() -> None:
    assert why_not() == ""


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.STAY, Outcome.FAIL])
def test_people_are_never_looser_than_the_machine(outcome: Outcome) -> None:
    assert why_not(verdict=replace(PASSED, outcome=outcome)).startswith(f"The machine says {outcome}")


def test_go_says_how_long_the_window_still_is() -> None:
    running = Verdict(Outcome.RUNNING, (), Window(Decimal("41.5"), 48))

    assert "6.5 h in force are still to come" in why_not(verdict=running)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_go_names_the_signature_that_is_missing(missing: int) -> None:
    given = tuple(one for number, one in enumerate(ALL) if number != missing)

    assert why_not(given=given) == f"Signatures are missing: {ALL[missing].role}."


def test_a_rejection_leaves_hold_and_no_go() -> None:
    rejected = (*ALL[:2], replace(ALL[2], approves=False))

    assert "rejected" in why_not(given=rejected)
    assert why_not(Decision.NO_GO, given=rejected, notes="the CTO rejects it") == ""


def test_a_signature_on_something_else_has_lapsed() -> None:
    assert "Trading Lead, Engineer, CTO signed" in why_not(digest="b" * 64)


def test_whoever_asks_is_never_the_only_signer() -> None:
    assert (
        steps.why_not_decide(
            Decision.GO, verdict=PASSED, needed=("CTO",), given=(ALL[2],), requester=3, digest=DIGEST, notes=""
        )
        == "Whoever asked for the step cannot be its only signer."
    )


def test_a_checklist_that_is_not_complete_holds_go_back() -> None:
    refusal = steps.why_not_decide(
        Decision.GO,
        verdict=PASSED,
        needed=NEEDED,
        given=ALL,
        requester=1,
        digest=DIGEST,
        notes="",
        unticked=("Team notified",),
    )

    assert refusal == "The checklist is not complete: Team notified."


@pytest.mark.parametrize("decision", [Decision.HOLD, Decision.NO_GO])
@pytest.mark.parametrize(
    ("notes", "allowed"), [("", False), ("too short", False), ("  ten chars ", False), ("ten chars!", True)]
)
def test_stricter_decisions_need_a_reason_and_nothing_else(decision: Decision, notes: str, allowed: bool) -> None:
    worst = {Decision.HOLD: Outcome.STAY, Decision.NO_GO: Outcome.FAIL}[decision]
    verdict = replace(PASSED, outcome=worst)

    assert (why_not(decision, verdict=verdict, given=(), notes=notes) == "") is allowed


def test_hold_cannot_save_a_run_that_has_failed() -> None:
    failed = replace(PASSED, outcome=Outcome.FAIL)

    assert "Only NO_GO can be recorded" in why_not(Decision.HOLD, verdict=failed, notes="we wait for it")


def test_no_decision_is_no_decision() -> None:
    assert why_not(Decision.PENDING) == "Choose GO, HOLD or NO_GO."


@pytest.mark.parametrize(
    ("refusal", "how"),
    [
        ("", {}),
        ("CEO does not sign this step", {"role": "CEO", "held": {"CEO"}}),
        ("You do not hold the role CTO", {"held": {"Engineer"}}),
        ("Engineer has signed", {"role": "Engineer", "held": {"Engineer"}}),
        ("You have signed in another role", {"person": 2}),
        ("Say why you reject it", {"approves": False}),
        ("", {"approves": False, "note": "latency is rising"}),
    ],
)
def test_one_role_one_person_each_once(refusal: str, how: dict[str, object]) -> None:
    found = sign(**how)  # type: ignore[arg-type]

    assert found.startswith(refusal) if refusal else found == ""


def test_the_changes_of_a_step_are_every_parameter_that_differs() -> None:
    changes = {change.name: (change.old, change.new) for change in steps.changes_between(phase("4.1"), phase("4.2"))}

    assert changes["capital_quote"] == ("600", "1500")
    assert changes["symbols"] == ("BTCUSDT, ETHUSDT", "BTCUSDT, ETHUSDT, BNBUSDT")
    assert changes["limits.max_symbol_drawdown_fraction"] == ("not set", "0.01")
    assert "limits.max_position_fraction" not in changes


@pytest.mark.parametrize(
    ("name", "label"),
    [("capital_quote", "Capital"), ("limits.max_daily_trades", "Max daily trades"), ("symbols", "Symbols")],
)
def test_a_change_has_a_name_a_person_can_read(name: str, label: str) -> None:
    assert Change(name, "1", "2").label == label


def test_a_limit_that_falls_away_is_a_change() -> None:
    after = phase("4.4a")
    without = replace(after, limits=replace(after.limits, max_trade_loss_quote=None))

    assert Change("limits.max_trade_loss_quote", "50", "not set") in steps.changes_between(after, without)


def test_the_digest_binds_findings_parameters_and_templates() -> None:
    one, two = phase("4.0"), phase("4.1")
    changes = steps.changes_between(one, two)
    bound = {
        steps.digest_of_step(one, two, {"fill_rate": "0.91"}, changes),
        steps.digest_of_step(one, two, {"fill_rate": "0.92"}, changes),
        steps.digest_of_step(one, two, {"fill_rate": "0.91"}, changes[1:]),
        steps.digest_of_step(replace(one, digest="x"), two, {"fill_rate": "0.91"}, changes),
        steps.digest_of_step(one, None, {"fill_rate": "0.91"}, changes),
    }

    assert len(bound) == 5


@pytest.mark.parametrize(("hours", "expired"), [("71.9", False), ("72", True)])
def test_a_request_expires(hours: str, expired: bool) -> None:
    assert steps.is_expired(Decimal(hours)) is expired


def test_what_keeps_capital_where_it_is_stops_a_go_and_nothing_that_is_stricter() -> None:
    def decided(decision: Decision, given: tuple[Signature, ...] = ALL) -> str:
        return steps.why_not_decide(
            decision, verdict=PASSED, needed=NEEDED, given=given, requester=1, digest=DIGEST, notes="ten chars.",
            in_the_way="Not now.",
        )  # fmt: skip

    assert decided(Decision.GO) == decided(Decision.GO, ()) == "Not now."
    assert decided(Decision.HOLD) == decided(Decision.NO_GO) == ""
