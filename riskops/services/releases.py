"""Record the tag of a phase that succeeded, and create it in the configured git repository; never in GO's way."""

import os
import subprocess
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import transaction

from riskops.domain.releases import tag_message, tag_name
from riskops.models import ReleaseTag, StepRequest
from trading import live
from trading.services import audit

LIMIT_S: Final = 20  # for one command of git
NOBODY_ELSES: Final = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "tag.gpgSign=false",
    "-c",
    "tag.forceSignAnnotated=false",
)


class UnableToTag(Exception):
    """The tag is not created; it is tried again."""


def record(request: StepRequest, *, at: datetime) -> ReleaseTag:
    """Record the tag of the phase that `request` decided; call it inside the transaction of the GO."""
    run = request.run
    phase, slug = run.template.phase, run.account.slug
    name = tag_name(phase)
    if ReleaseTag.objects.filter(name=name).exists():
        name = tag_name(phase, desk=f"{slug}-{run.pk}")
    signers = [(one.role, one.person.username) for one in request.sign_offs.select_related("person")]
    message = tag_message(
        phase_id=phase, desk=slug, run=run.pk, request=request.pk, digest=request.digest, signers=signers,
        at=at.astimezone(UTC),
    )  # fmt: skip
    state = ReleaseTag.State.PENDING if settings.RELEASE_REPOSITORY else ReleaseTag.State.RECORDED
    row = ReleaseTag.objects.create(request=request, name=name, message=message, state=state, recorded_at=at)
    payload = {"tag": name, "request": request.pk, "digest": request.digest}
    audit.record(actor="governance", action="release.recorded", subject=f"account:{slug}", payload=payload, at=at)
    return row


def create_pending(*, at: datetime) -> list[ReleaseTag]:
    """Create every tag that waits for it, each in a transaction of its own; what fails is tried again."""
    waiting = ReleaseTag.objects.filter(state=ReleaseTag.State.PENDING).order_by("id").values_list("pk", flat=True)
    return [row for pk in list(waiting) if (row := _create(pk, at)) is not None]


def _create(pk: int, at: datetime) -> ReleaseTag | None:
    """Create one tag; None where another process is at it. A crash after git leaves it pending: then it is found."""
    with transaction.atomic():
        rows = ReleaseTag.objects.select_for_update(skip_locked=True, of=("self",)).select_related(
            "request__run__account"
        )
        row = rows.filter(pk=pk, state=ReleaseTag.State.PENDING).first()
        if row is None:
            return None
        row.attempts, row.tried_at = row.attempts + 1, at
        try:
            row.commit, row.why = _in_repository(row.name, row.message, row.recorded_at), ""
            row.state = ReleaseTag.State.CREATED if row.commit else ReleaseTag.State.FAULT
        except UnableToTag as error:
            row.why = str(error)[:300]
        if row.state == ReleaseTag.State.FAULT:
            row.why = "The repository has a tag of this name that says something else; it was left as it is."
        row.save(update_fields=["attempts", "tried_at", "commit", "why", "state"])
        if row.state != ReleaseTag.State.PENDING:
            action = "release.tagged" if row.commit else "release.fault"
            payload = {"tag": row.name, "commit": row.commit, "why": row.why}
            subject = f"account:{row.request.run.account.slug}"
            audit.record(actor="governance", action=action, subject=subject, payload=payload, at=at)
        transaction.on_commit(lambda: live.publish_events("gate"))
    return row


def _in_repository(name: str, message: str, at: datetime) -> str:
    """Return the commit that the tag points to, empty where a tag of this name says something else.

    Raises:
        UnableToTag: there is no repository, it has no commit, or git does not answer.
    """
    if not _git("tag", "--list", name):
        _git("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, "HEAD", said=message, at=at)
    found = _git("for-each-ref", "--format=%(objecttype)%0a%(contents)", f"refs/tags/{name}")
    if found != f"tag\n{message}".rstrip("\n"):
        return ""
    return _git("rev-list", "-n", "1", name)


def _git(*arguments: str, said: str = "", at: datetime | None = None) -> str:
    """Return what git says in the configured repository, without the line breaks at its end."""
    who = {"GIT_COMMITTER_NAME": "Grid Console", "GIT_COMMITTER_EMAIL": "console@localhost"}
    when = {"GIT_COMMITTER_DATE": at.isoformat()} if at else {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", settings.RELEASE_REPOSITORY, *NOBODY_ELSES, *arguments]
    try:
        done = subprocess.run(
            command, input=said, env={**kept, **who, **when, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True,
            timeout=LIMIT_S, check=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise UnableToTag(f"git {arguments[0]}: {error.stderr.strip() or error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise UnableToTag(f"git {arguments[0]}: {error}") from error
    return done.stdout.rstrip("\n")
