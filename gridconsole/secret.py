"""The signing key: given by the environment, or made once per data folder in the embedded profile."""

import os
import secrets
from pathlib import Path
from typing import Final

from gridconsole import env
from gridconsole.profile import Profile

SHORTEST: Final = 32  # characters
ACCEPTED: Final = f"at least {SHORTEST} random characters"


def key(profile: Profile) -> str:
    """Return the signing key of sessions and forms.

    Raises:
        env.InvalidEnvironment: SECRET_KEY is short, or missing where it must be given.
    """
    found = env.text("SECRET_KEY")
    if not found and profile.kind == "embedded":
        return _stored(profile.data_dir / "secret.key")
    if len(found) < SHORTEST:
        raise env.InvalidEnvironment("SECRET_KEY", f"{len(found)} characters", ACCEPTED)
    return found


def _stored(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        _publish(draft, path)
    return path.read_text().strip()


def _publish(draft: Path, path: Path) -> None:
    """Give `draft` its name unless another process was first; a link is atomic and never replaces."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
