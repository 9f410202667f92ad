"""Typed readers of environment variables; standard library only, so that the supervisor stays light."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

LONGEST_NUMBER: Final = 18  # digits


class InvalidEnvironment(Exception):
    """A variable holds a value that is not accepted; the message names variable, value and what is accepted."""

    def __init__(self, name: str, found: str, accepted: str) -> None:
        super().__init__(f"{name}: found {found!r}, accepted: {accepted}")
        self.name = name


def text(name: str, default: str = "") -> str:
    """Return the variable without surrounding blanks; an empty variable counts as unset."""
    return os.environ.get(name, "").strip() or default


def required(name: str, accepted: str) -> str:
    """Return the variable.

    Raises:
        InvalidEnvironment: it is unset or empty.
    """
    if not (value := text(name)):
        raise InvalidEnvironment(name, "", accepted)
    return value


def choice(name: str, accepted: Sequence[str], default: str) -> str:
    """Return the variable, which must be one of `accepted`.

    Raises:
        InvalidEnvironment: any other value.
    """
    value = text(name, default)
    if value not in accepted:
        raise InvalidEnvironment(name, value, ", ".join(accepted))
    return value


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """Return the variable as a whole number in low..high.

    Raises:
        InvalidEnvironment: not a number, or outside the range.
    """
    value = text(name, str(default))
    plain = value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER
    if not (plain and low <= int(value) <= high):
        raise InvalidEnvironment(name, value, f"a whole number from {low} to {high}")
    return int(value)


def number(name: str, default: float, *, low: float, high: float) -> float:
    """Return the variable as a number in low..high.

    Raises:
        InvalidEnvironment: not a number, or outside the range.
    """
    value = text(name, f"{default:g}")
    try:
        result = float(value)
    except ValueError:
        result = float("nan")
    if not low <= result <= high:
        raise InvalidEnvironment(name, value, f"a number from {low:g} to {high:g}")
    return result


def boolean(name: str, default: bool) -> bool:
    """Return the variable as a truth value.

    Raises:
        InvalidEnvironment: anything but 1, true, yes, 0, false, no.
    """
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    value = text(name, "true" if default else "false")
    if value.lower() not in words:
        raise InvalidEnvironment(name, value, ", ".join(words))
    return words[value.lower()]


def directory(name: str, default: Path) -> Path:
    """Return the variable as an absolute path that is a folder or does not exist yet.

    Raises:
        InvalidEnvironment: the path is a file, or no path at all.
    """
    value, accepted = text(name, str(default)), "a folder, or a path where one can be made"
    path = place(name, value, accepted)
    if path.exists() and not path.is_dir():
        raise InvalidEnvironment(name, str(path), accepted)
    return path


def place(name: str, value: str, accepted: str) -> Path:
    """Return `value` as an absolute path that the system can look at; nothing need be there.

    Raises:
        InvalidEnvironment: the home of a person who does not exist, a name that is too long, or a folder closed to us.
    """
    try:
        path = Path(value).expanduser().absolute()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidEnvironment(name, value[:200], accepted) from error
    return path


def url(name: str, default: str, schemes: Sequence[str]) -> str:
    """Return the variable as an address with one of `schemes`.

    Raises:
        InvalidEnvironment: another scheme, no host (or path, for sockets), or a port that is no number.
    """
    value = text(name, default)
    accepted = "an address starting with " + ", ".join(f"{scheme}://" for scheme in schemes)
    parts = _split(name, value, accepted)
    if parts.scheme not in schemes or not (parts.hostname or parts.path.strip("/")):
        raise InvalidEnvironment(name, _without_password(value), accepted)
    return value


def origins(name: str, default: str) -> list[str]:
    """Return the comma-separated origins (scheme, host and, if not the scheme's own, port) without trailing slash.

    Raises:
        InvalidEnvironment: an entry has no http(s) scheme, has no host, has a path, or uses a wildcard.
    """
    accepted = "origins such as https://console.example.com or http://127.0.0.1:8000, separated by commas"
    found = [entry.strip().rstrip("/").lower() for entry in text(name, default).split(",") if entry.strip()]
    for entry in found:
        parts = _split(name, entry, accepted)
        exact = parts.scheme in {"http", "https"} and parts.hostname and not parts.path and "*" not in entry
        if not exact:
            raise InvalidEnvironment(name, entry, accepted)
    return found


def bucket(name: str) -> dict[str, str]:
    """Return bucket, endpoint, key, secret and region of a store that speaks S3, each "" where it is not named.

    They are the variables `name`_BUCKET, _ENDPOINT, _KEY, _SECRET and _REGION.

    Raises:
        InvalidEnvironment: some are named without the bucket, a key without its secret, or the endpoint is no address.
    """
    found = {part: text(f"{name}_{part.upper()}") for part in ("bucket", "endpoint", "key", "secret", "region")}
    if found["endpoint"]:
        url(f"{name}_ENDPOINT", "", ("https", "http"))
    if not found["bucket"] and any(found.values()):
        raise InvalidEnvironment(f"{name}_BUCKET", "", f"the name of a bucket, where another {name}_ variable is set")
    if bool(found["key"]) != bool(found["secret"]):
        raise InvalidEnvironment(f"{name}_SECRET", "", f"the secret of {name}_KEY; or neither, for the host's own")
    return found


def database(name: str, default: str) -> dict[str, Any]:
    """Return Django's connection settings of a `postgresql://user:password@host:port/name?option=value` address.

    A socket folder is given as `?host=/folder`; any other query option goes to the driver.

    Raises:
        InvalidEnvironment: not a PostgreSQL address, or one without a database name.
    """
    accepted = "postgresql://user:password@host:port/name or postgresql://user@/name?host=/socket/folder"
    parts = _split(name, value := text(name, default), accepted)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise InvalidEnvironment(name, _without_password(value), accepted)
    query = dict(parse_qsl(parts.query))
    socket_folder = query.pop("host", "")
    words = {
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": socket_folder or parts.hostname or "",
        "PORT": str(parts.port or ""),
    }
    if any("\0" in word for word in (*words.values(), *query, *query.values())):  # the driver would end there
        raise InvalidEnvironment(name, _without_password(value), accepted)
    return {**words, "OPTIONS": query}


def _split(name: str, value: str, accepted: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise InvalidEnvironment(name, _without_password(value), accepted) from error
    return parts


def _without_password(value: str) -> str:
    """Keep a mistyped address readable in an error without repeating its password."""
    credentials, at, place = value.rpartition("@")
    scheme, slashes, user = credentials.rpartition("//")
    name, colon, _ = user.partition(":")
    return f"{scheme}{slashes}{name}:***{at}{place}" if colon else value
