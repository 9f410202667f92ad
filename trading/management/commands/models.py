"""`./console models [list|show|verify]`: every model that is kept, one in full, and whether their files are whole."""

import getpass
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.domain.model_package import UnsoundModel
from trading.models import ModelVersion
from trading.ports import ArtifactUnreachable
from trading.selectors import model_page, models
from trading.services import model_registry

SHORTEST: Final = 6  # digits that name a model
DEEDS: Final = ("list", "show", "verify")


class Command(BaseCommand):
    """One question each; only `verify --refuse` changes anything."""

    help = "List the models that are kept, show one of them, or verify that their files are what they say."

    def add_arguments(self, parser: CommandParser) -> None:
        """Three things to do; without one they are listed."""
        parser.add_argument("deed", nargs="?", choices=DEEDS, default="list")
        parser.add_argument("digest", nargs="?", default="", help=f"of `show`: its first {SHORTEST} digits or more")
        parser.add_argument("--refuse", action="store_true", help="of `verify`: let nothing use a broken one any more")
        parser.add_argument("--json", action="store_true", help="print the result as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        deed: Callable[[Mapping[str, Any]], None] = getattr(self, f"_{options['deed']}")
        deed(options)

    def _list(self, options: Mapping[str, Any]) -> None:
        found = [models.card_of(version, (), None) for version in ModelVersion.objects.all()]
        for card in found:
            version = card.version
            skill = f"skill {card.skill_text}" if card.skill else "not evaluated"
            why = f": {version.why}" if version.why else ""
            self.stdout.write(
                f"{card.short}  {version.name}, stage {version.stage}, {card.parameters} parameters, {skill}, "
                f"{version.get_state_display().lower()}{why}"
            )
        if not found:
            self.stdout.write("No model is kept. ./console train --stage 0 --quick trains one.")
        self._last_line(options, {"models": [_as_json(card.version) for card in found]})

    def _show(self, options: Mapping[str, Any]) -> None:
        version = _named(options["digest"])
        shown = model_page.model_page(version, datetime.now(UTC))
        self.stdout.write(f"{version.name} {version.digest}, {version.get_state_display().lower()}")
        for name, value in shown.facts:
            self.stdout.write(f"  {name}: {value}")
        self.stdout.write(f"  Skill against HAR, 95 %: {shown.card.skill_text}")
        for finding in shown.findings:
            self.stdout.write(
                f"  {'✓' if finding.met else '✗'} {finding.criterion}: {finding.actual}, needed {finding.need}"
            )
        for change in shown.changes:
            self.stdout.write(
                f"  {change.at:%Y-%m-%d %H:%M} {change.before} -> {change.after} by {change.by}: {change.why}"
            )
        told = {"card": version.card, "evaluation": version.evaluation}
        self._last_line(options, _as_json(version) | told)

    def _verify(self, options: Mapping[str, Any]) -> None:
        broken, refused, known = [], 0, list(ModelVersion.objects.order_by("id"))
        for version in known:
            if version.state == ModelVersion.State.REFUSED:
                refused += 1
                self.stdout.write(f"- {version.digest[:12]} {version.name}: refused before, {version.why}")
            elif why := _why_broken(version):
                broken.append({"digest": version.digest, "why": why})
                self.stdout.write(f"✗ {version.digest[:12]} {version.name}: {why}")
                if options["refuse"]:
                    by, at = f"command line: {getpass.getuser()}", datetime.now(UTC)
                    model_registry.refuse(version=version, why=why, by=by, at=at)
            else:
                self.stdout.write(f"✓ {version.digest[:12]} {version.name}")
        self._last_line(options, {"models": len(known), "refused": refused, "broken": broken})
        if broken:
            what = "nothing uses them any more" if options["refuse"] else "`verify --refuse` lets nothing use them"
            raise CommandError(f"{len(broken)} of {len(known)} models are not what was registered; {what}.")

    def _last_line(self, options: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result))


def _named(digest: str) -> ModelVersion:
    found = list(ModelVersion.objects.filter(digest__startswith=digest)[:2]) if _is_digest(digest) else []
    if len(found) != 1:
        what = "names several models" if found else "names no model"
        raise CommandError(f"DIGEST: {digest[:64]!a} {what}; give the first {SHORTEST} digits or more of one.")
    return found[0]


def _is_digest(text: str) -> bool:
    return SHORTEST <= len(text) <= 64 and not set(text) - set("0123456789abcdef")


def _why_broken(version: ModelVersion) -> str:
    """Return why its files are not what was registered; "" where they are.

    Raises:
        CommandError: the store cannot be asked: nothing is known of any file.
    """
    try:
        model_registry.load(version.digest)
    except UnsoundModel as error:
        return str(error)
    except ArtifactUnreachable as error:
        raise CommandError(f"The store of models cannot be asked: {error}") from error
    return ""


def _as_json(version: ModelVersion) -> dict[str, Any]:
    evaluation = models.card_of(version, (), None).skill
    return {
        "digest": version.digest,
        "name": version.name,
        "stage": version.stage,
        "state": version.state,
        "why": version.why,
        "parameters": version.card.get("parameters"),
        "quick": version.card.get("quick"),
        "skill_vs_har": evaluation.value if evaluation else None,
        "interval": [evaluation.low, evaluation.high] if evaluation else None,
        "registered_by": version.registered_by,
        "registered_at": version.registered_at.isoformat(),
    }
