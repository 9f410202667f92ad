"""The anchor file: whole lines only, on the disk, for nobody else to read."""

from pathlib import Path

import pytest

from trading.adapters.anchor_file import AnchorFile


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ([], False)),
        (b"a\n", (["a"], False)),
        (b"a\nb\n", (["a", "b"], False)),
        (b"a\nb", (["a"], True)),
        (b"\n", ([""], False)),
        (b"\xff\n", (["\ufffd"], False)),
    ],
    ids=["empty", "one", "two", "half", "blank", "no text"],
)
def test_only_a_line_that_ends_is_read(tmp_path: Path, content: bytes, expected: tuple[list[str], bool]) -> None:
    (tmp_path / "anchors").write_bytes(content)

    assert AnchorFile(tmp_path / "anchors").read() == expected


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert AnchorFile(tmp_path / "absent").read() == ([], False)


def test_a_new_line_knows_those_before_it_and_takes_the_place_of_half_a_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "anchors"
    file = AnchorFile(path)

    file.extend(lambda lines: f"line {len(lines)}")
    with path.open("a") as half:
        half.write("li" * 100)
    file.extend(lambda lines: f"line {len(lines)}")
    file.extend(lambda lines: None)

    assert file.read() == (["line 0", "line 1"], False)
    assert path.stat().st_mode & 0o777 == 0o600
