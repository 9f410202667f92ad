"""The latch file: read by whoever, never larger than its room, and in doubt latched."""

import os
from pathlib import Path

import pytest

from trading.adapters.latch_file import ROOM, LatchFile


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ('{"micro": {}}', {"micro"}),
        ("{}", set()),
        (" " * ROOM, set()),
        ("not json", {"*"}),
        ("[]", {"*"}),
        ("", {"*"}),
        (" ", {"*"}),
        ('{"micro": {"by"' + " " * 40, {"*"}),
    ],
    ids=["one", "none", "blank", "no json", "a list", "empty", "cut short", "half"],
)
def test_what_cannot_be_understood_latches_everything(tmp_path: Path, text: str, scopes: set[str]) -> None:
    (tmp_path / "halt.latch").write_text(text)

    assert LatchFile(tmp_path / "halt.latch").read().keys() == scopes


def test_a_file_that_is_not_there_latches_nothing(tmp_path: Path) -> None:
    assert LatchFile(tmp_path / "absent").read() == {}


def test_the_room_is_reserved_once_and_kept(tmp_path: Path) -> None:
    file = LatchFile(tmp_path / "new" / "halt.latch")
    file.reserve()
    before = os.stat(tmp_path / "new" / "halt.latch")

    file.add("micro", {"by": "trader", "reason": "x"})
    file.reserve()
    file.add("production", {"by": "trader", "reason": "y" * 200})

    after = os.stat(tmp_path / "new" / "halt.latch")
    assert file.read().keys() == {"micro", "production"}
    assert (after.st_size, after.st_ino, after.st_blocks) == (ROOM, before.st_ino, before.st_blocks)


def test_many_scopes_keep_that_they_are_latched_and_drop_why(tmp_path: Path) -> None:
    file = LatchFile(tmp_path / "halt.latch")

    file.write({f"account-{number}": {"reason": "x" * 100} for number in range(60)})

    assert len(file.read()) == 60
    assert os.stat(tmp_path / "halt.latch").st_size == ROOM


def test_writing_blank_releases_everything(tmp_path: Path) -> None:
    file = LatchFile(tmp_path / "halt.latch")
    file.add("*", {"reason": "x"})

    file.write({})

    assert file.read() == {}


def test_nothing_is_left_of_a_text_that_was_longer_than_the_room(tmp_path: Path) -> None:
    latch = LatchFile(tmp_path / "halt.latch")
    latch.add("a" * 2 * ROOM, {"reason": "no such account"})

    latch.write({})

    assert latch.read() == {}
