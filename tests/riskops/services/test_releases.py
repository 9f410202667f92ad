"""GO records a tag; a real repository gets it, later, once, and keeps what it had."""

import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from riskops.domain.steps import Decision
from riskops.models import PhaseRun, ReleaseTag
from riskops.services import releases
from tests.riskops import cast
from trading.models import AuditEvent

pytestmark = pytest.mark.django_db
NAME = "v4.0.0-phase4.0-success"


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@pytest.fixture
def repository(settings: Settings, tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "The release")
    settings.RELEASE_REPOSITORY = str(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def gone() -> tuple[ReleaseTag, datetime]:
    run, at = cast.passed_run()
    cast.decide(cast.signed_request(run, at), Decision.GO, at)
    return ReleaseTag.objects.get(), at


def test_without_a_repository_the_tag_is_recorded(settings: Settings) -> None:
    settings.RELEASE_REPOSITORY = ""
    row, at = gone()

    assert (row.name, row.state) == (NAME, "RECORDED")
    assert releases.create_pending(at=at) == []


def test_the_repository_gets_an_annotated_tag_that_names_run_digest_and_signers(repository: Path) -> None:
    row, at = gone()
    assert row.state == "PENDING"

    (made,) = releases.create_pending(at=at)

    assert (made.state, made.why, made.attempts) == ("CREATED", "", 1)
    assert made.commit == git(repository, "rev-parse", "HEAD") == git(repository, "rev-parse", f"{NAME}^{{commit}}")
    assert git(repository, "cat-file", "-t", NAME) == "tag"
    said = git(repository, "tag", "--list", "--format=%(contents)", NAME)
    assert f"Run: {row.request.run_id}" in said
    assert f"Evidence: sha256:{row.request.digest}" in said
    assert "Signed: Trading Lead: lead" in said
    assert {"release.recorded", "release.tagged"} <= set(AuditEvent.objects.values_list("action", flat=True))


def test_a_second_time_finds_the_tag_it_made(repository: Path) -> None:
    _, at = gone()
    releases.create_pending(at=at)
    before = git(repository, "rev-parse", NAME)
    ReleaseTag.objects.update(state="PENDING", commit="")  # as after a crash between git and the commit

    (again,) = releases.create_pending(at=at)

    assert again.state == "CREATED"
    assert git(repository, "rev-parse", NAME) == before


@pytest.mark.parametrize("kind", [(), ("-a", "-m", "another story")])
def test_a_tag_that_says_something_else_is_a_fault_and_stays(repository: Path, kind: tuple[str, ...]) -> None:
    git(repository, "-c", "user.name=a", "-c", "user.email=a@b", "tag", *kind, NAME)
    before = git(repository, "rev-parse", NAME)
    _, at = gone()

    (row,) = releases.create_pending(at=at)

    assert (row.state, row.commit) == ("FAULT", "")
    assert "says something else" in row.why
    assert git(repository, "rev-parse", NAME) == before
    assert AuditEvent.objects.filter(action="release.fault").count() == 1
    assert releases.create_pending(at=at) == []


def test_a_repository_that_is_not_there_holds_nothing_up_and_is_tried_again(
    settings: Settings, repository: Path, tmp_path: Path
) -> None:
    settings.RELEASE_REPOSITORY = str(tmp_path / "nowhere")
    _, at = gone()
    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"

    (failed,) = releases.create_pending(at=at)
    settings.RELEASE_REPOSITORY = str(repository)
    (made,) = releases.create_pending(at=at)

    assert (failed.state, failed.attempts) == ("PENDING", 1)
    assert failed.why.startswith("git tag:")
    assert (made.state, made.attempts) == ("CREATED", 2)


def test_hooks_of_the_repository_do_not_run(repository: Path, tmp_path: Path) -> None:
    hook = repository / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    _, at = gone()

    releases.create_pending(at=at)

    assert not (tmp_path / "ran").exists()


def test_a_name_that_is_taken_gives_way_to_one_with_the_desk_and_its_run(repository: Path) -> None:
    row, at = gone()
    run = row.request.run
    other = cast.ask(PhaseRun.objects.get(ended_at=None), at)
    other.run = run  # as if the same phase had succeeded once more

    made = releases.record(other, at=at)

    assert made.name == f"{NAME}-micro-{run.pk}"
