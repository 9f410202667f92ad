"""Whatever is asked of whatever address by whomever: no error, no hang, no change without permission."""

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.console import requests
from tests.fuzz.console.requests import Shot, cookies, right, scope
from tests.fuzz.console.routes import ARGUMENTS, FORMS, OPEN_DOORS, Route, address, endpoints, routes
from tests.fuzz.console.step import PROVES
from tests.fuzz.console.world import SECRET, World, difference, repeated
from tests.fuzz.hostile import INPUTS
from trading.models import AuditEvent

REQUESTS = max(min(INPUTS, 500), INPUTS // 10)  # per endpoint: 500, and 10,000 in the long form
STAGED = {"riskops:grant-resume", "riskops:decide-step"}
STAGED_AGAIN = 25  # requests after which evidence is made anew, or a release or a GO would be refused for its age

# What is recorded when a step is taken; a refused one leaves the row "refused" instead, under the person's name.
NO_GO = ("step.decided", "phase.ended")
GO = ("step.decided", "release.recorded", "phase.ended", "mandate.in_force", "transfer.asked", "phase.started")
DEEDS: dict[str, set[tuple[str, ...]]] = {
    "riskops:start-run": {("mandate.in_force", "phase.started")},
    "riskops:request-step": {("step.requested",)},
    "riskops:sign-step": {("step.signed",), ("step.rejected",)},
    "riskops:tick-item": {("checklist.ticked",), ("checklist.unticked",)},
    "riskops:decide-step": {GO, NO_GO, NO_GO[:1]},  # the last one is HOLD
    "riskops:withdraw-step": {("step.withdrawn",)},
    "riskops:request-promotion": {("promotion.requested",)},
    "riskops:roll-back-model": {("model.moved",)},
    "riskops:sign-promotion": {("promotion.signed",), ("promotion.rejected",)},
    "riskops:decide-promotion": {("promotion.decided",), ("model.moved", "promotion.decided")},  # HOLD; NO_GO
    "riskops:withdraw-promotion": {("promotion.withdrawn",)},
    "riskops:close-incident": {("incident.closed",)},
    "riskops:arming-prepare": {("account.prepared",)},
    "riskops:arming-request": {("arming.requested",)},
    "riskops:arming-approve": {("arming.approved", "mandate.in_force", "phase.started", "account.armed")},
    "riskops:arming-withdraw": {("arming.withdrawn",)},
    "riskops:confirm-transfer": {("transfer.confirmed",)},
    "riskops:give-account": {("member.given",)},
    "riskops:take-account": {("member.taken",)},
    "riskops:arming-disarm": {("halt.latched", "account.disarmed")},
    "riskops:open-incident": {("incident.opened",)},
    "riskops:review-desk": {("desk.reviewed",)},
    "riskops:apply-step": {("conduct.applied", "incident.step")},
    "riskops:undo-step": {("conduct.undone", "incident.step")},
    "riskops:write-incident": {("incident.step",)},
    "riskops:enter-cost": {("cost.entered",)},
    "riskops:add-item": {("compliance.opened",)},
    "riskops:tick-compliance": {("compliance.ticked",), ("compliance.unticked",)},
    "riskops:ask-break-glass": {("breakglass.asked",)},
    "riskops:grant-break-glass": {("breakglass.granted", "incident.opened")},
    "riskops:end-break-glass": {("breakglass.ended",)},
    "riskops:begin-authenticator": {("otp.begun",)},
    "riskops:confirm-authenticator": {("otp.set_up",)},
    "trading:edit-grid": {("grid.edited",)},
    "trading:run-backtest": {("backtest.asked",)},
    "trading:cancel-backtest": {("backtest.canceled",)},
    "trading:run-search": {("search.asked",)},
    "trading:adopt-trial": {("candidate.adopted",)},
    "trading:train-model": {("training.asked",)},
    "trading:cancel-training": {("training.canceled",)},
    "trading:withdraw-candidate": {("candidate.withdrawn",)},
    "login": {("session.began",)},
    "riskops:add-person": {("user.added",)},
    "riskops:invite-person": {("user.invited",)},
    "riskops:remove-authenticator": {("otp.removed", "session.ended")},
    "invitation": {("user.changed", "session.ended"), ("user.changed",)},  # the second: no session was open
    "riskops:change-password": {("user.changed", "session.ended"), ("user.changed",)},
    "riskops:set-roles": {("user.changed", "session.ended"), ("user.changed",)},
    "riskops:set-active": {("user.changed", "session.ended"), ("user.changed",)},
}
GUARDED = {  # by role alone, before anything is looked at
    "riskops:run-drill", "riskops:request-resume", "riskops:withdraw-resume", "trading:pause", "trading:unpause",
    "trading:edit-grid",
    "trading:decide-foreign", "trading:acknowledge", "trading:unacknowledge", "trading:steer-replay",
    "riskops:add-key", "riskops:check-keys",
    "riskops:revoke-key",
    "riskops:shelve", "riskops:unshelve", "riskops:add-route", "riskops:remove-route", "riskops:test-route",
}  # fmt: skip
FOLLOWS = {
    "phase.ended",
    "release.recorded",
    "incident.opened",
}  # recorded under governance, right after the decision of the person

ENDPOINTS = {endpoint.name: endpoint for endpoint in endpoints()}
ANSWERS_503 = {"readyz"}  # in words, while a loop is silent
SEEDS = st.integers(0, 2**64 - 1)
enough = settings(
    max_examples=REQUESTS,
    deadline=None,  # `promptly` looks at CPU time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


# "2/3": every third address from the second on, so that three processes share them.
PART, PARTS = map(int, os.environ.get("GRIDCONSOLE_FUZZ_PART", "1/1").split("/"))


@pytest.mark.parametrize("name", list(ENDPOINTS)[PART - 1 :: PARTS])
def test_hostile_requests_are_answered_and_change_nothing_without_permission(world: World, name: str) -> None:
    endpoint, sent = ENDPOINTS[name], [0]
    world.settle(endpoint.routes[0].name)

    @enough
    @given(seed=SEEDS)
    def fire(seed: int) -> None:
        sent[0] += 1
        if name in STAGED and sent[0] % STAGED_AGAIN == 0:
            world.settle(name)
        assert_harmless(world, requests.hostile(endpoint, world, Random(seed)))

    fire()


def assert_harmless(world: World, shot: Shot) -> bool:
    """Send `shot`; return whether it changed something, as it may."""
    answer = world.send(shot.scope, shot.body)

    assert not world.errors, f"{shot}\n{world.errors[0]}"
    assert answer.status_code < 500 or (answer.status_code == 503 and shot.route in ANSWERS_503), str(shot)
    if not world.touched:
        return False
    changed, events = difference(world.state, world.digest()), world.audited()
    if not (changed or events):
        return False
    try:
        if is_refused(shot, changed, events):
            return False
        assert_permitted(shot, changed, events)
        if "venueinstrument" in shot.route:
            assert_nothing_broke(world, shot)
    finally:
        if changed:
            world.settle(shot.route)
        else:  # only the audit trail grew: what the next request needs still stands
            world.go_on()
    return True


def is_refused(shot: Shot, changed: list[str], events: list[AuditEvent]) -> bool:
    """Return whether a signed-in person was refused a step: one row says so, and their own proof of identity counts."""
    words = [(event.actor, event.action) for event in events]
    said = words == ([(shot.person, "refused")])
    proven = changed in ([], [f"proof of {shot.person}"]) if shot.route in PROVES else not changed
    return shot.lawful and shot.route in DEEDS.keys() | GUARDED and said and proven


def assert_permitted(shot: Shot, changed: list[str], events: list[AuditEvent]) -> None:
    """Fail unless this person may do this, and every deed stands in the audit trail once, under their name."""
    form = FORMS.get(shot.route)
    assert form is not None, f"{changed} changed by an address that changes nothing: {shot}"
    assert shot.lawful, f"{changed} {[event.action for event in events]} by somebody without permission: {shot}"
    person = "" if shot.route in OPEN_DOORS else shot.person  # whoever knows the words
    assert person in form.people, f"{changed} changed by {shot.person}: {shot}"
    assert events, f"{changed} changed without an audit row: {shot}"
    assert not repeated(events), f"recorded more than once: {repeated(events)}: {shot}"
    proofs = {name for name in changed if name.startswith("proof of ")}
    of_others = shot.route.startswith("admin:") or shot.route == "riskops:remove-authenticator"
    assert proofs <= {f"proof of {shot.person}"} or of_others, f"of another person: {shot}"
    deeds = tuple(event.action for event in events)
    assert all(person in event.actor or event.action in FOLLOWS for event in events), f"under another name: {shot}"
    if shot.route in DEEDS:
        assert deeds in DEEDS[shot.route], f"{deeds}: {shot}"
    else:
        assert len(events) == expected_rows(shot.route, events), f"{deeds}: {shot}"


def expected_rows(route: str, events: list[AuditEvent]) -> int:
    """Return how many rows one request writes: one; one per halted desk; a drill also halts, a grant also releases."""
    halted = len({event.subject for event in events if event.action.startswith("halt.")})
    ended = sum(event.action == "session.ended" for event in events)  # with a password or a role that changed
    if route == "riskops:halt":
        return halted
    if route in {"riskops:end-session", "riskops:end-other-sessions"}:
        return ended
    return 1 + halted if route in {"riskops:run-drill", "riskops:grant-resume"} else 1 + ended


def assert_nothing_broke(world: World, shot: Shot) -> None:
    """Fail when the page that reads most tables cannot be shown after a change that was allowed."""
    answer = world.send(scope("/symbols/", cookie=cookies(world.cookie("trader"))))
    assert answer.status_code == 200, f"the page of symbols is broken ({world.errors}) after {shot}"


# --- nothing is forgotten -------------------------------------------------------------------------------------


def test_every_address_belongs_to_an_endpoint_that_is_fuzzed() -> None:
    fuzzed = {route.pattern for endpoint in ENDPOINTS.values() for route in endpoint.routes}

    assert {route.pattern for route in routes()} <= fuzzed
    assert len(ENDPOINTS) > 45


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_part_of_an_address_has_a_right_value(name: str) -> None:
    missing = [part for route in ENDPOINTS[name].routes for _, part in route.arguments if part not in ARGUMENTS]

    assert not missing, f"say in tests/fuzz/console/routes.py, ARGUMENTS, what {missing} can be"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_address_without_a_form_here_refuses_every_form(world: World, name: str) -> None:
    for route in (route for route in ENDPOINTS[name].routes if route.name not in FORMS):
        path = _path(world, route)

        answer = world.send(scope(path, "POST", cookie=cookies(world.cookie("engineer")), x_csrftoken=SECRET))

        assert answer.status_code in _refusals(route), (
            f"{route.name} takes forms: add a right one to tests/fuzz/console/routes.py, FORMS"
        )


def _path(world: World, route: Route) -> str:
    return address(route, {name: ARGUMENTS[name](world, route.name, Random(1)) for _, name in route.arguments})


def _refusals(route: Route) -> set[int]:
    """Return how `route` may answer a form it does not take; Django's lists answer as they do to a look."""
    room = route.name.rpartition("_")[2]
    if not route.name.startswith("admin:"):
        return {403, 404, 405}
    return {302, 403} if room in {"add", "change", "delete"} else {200, 302, 400, 403, 404, 405}


@pytest.mark.parametrize("name", FORMS)
def test_the_right_form_is_obeyed_so_that_its_near_misses_mean_something(world: World, name: str) -> None:
    route = next(route for route in routes() if route.name == name)
    world.settle(name)

    done = assert_harmless(world, right(route, world, Random(1)))

    assert done is FORMS[name].changes
