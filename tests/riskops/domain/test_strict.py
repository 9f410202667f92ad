"""Files are read to the letter: what fits exactly, where a defect stands, and the words that say so."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import pytest

from riskops.domain.strict import LARGEST_FILE, LONGEST_LINE, Defect, Listed, Reader, digest_of, parse


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Wheel:
    size: int


@dataclass(frozen=True, slots=True)
class Frame:
    wheels: tuple[Wheel, ...] = ()


@dataclass(frozen=True, slots=True)
class Cart:
    name: str
    size: int = 1
    load: Decimal = Decimal(1)
    is_sold: bool = False
    colour: Colour = Colour.RED
    words: tuple[str, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    frame: Frame = Frame()


KNOWN: Final = "name, size, load, is_sold, colour, words, wheels, frame"
WHOLE: Final = "expected a whole number from 1 to 1000000000, without quotes."
TEXT: Final = "expected a text in quotes of 1 to 200 visible characters."
NUMBER: Final = "expected a number above 0, at most 1000000000, of at most 9 decimals, without quotes."


def reader_of(text: str) -> Reader:
    return Reader(text, {tuple[Wheel, ...]: Listed(Wheel, lambda wheel: "is flat." if wheel.size == 13 else "")})


def read(text: str) -> tuple[Cart | None, list[str]]:
    found = parse(text)
    assert isinstance(found, dict), found
    reader = reader_of(text)
    cart = reader.table(Cart, found, "")
    return cart, [str(defect) for defect in reader.defects]


def cart(**changes: Any) -> Cart:
    return Cart(**{"name": "a", **changes})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("size = 1", cart(size=1)),
        ("size = 1000000000", cart(size=10**9)),
        ("load = 0.000000001", cart(load=Decimal("0.000000001"))),
        ("load = 1000000000", cart(load=Decimal(10**9))),
        ("is_sold = true", cart(is_sold=True)),
        ('colour = "blue"', cart(colour=Colour.BLUE)),
        (f'words = ["{"w" * 200}", "€"]', cart(words=("w" * 200, "€"))),
        ("[frame]\n[[frame.wheels]]\nsize = 2", cart(frame=Frame((Wheel(2),)))),
        ("[[wheels]]\nsize = 2\n[[wheels]]\nsize = 3", cart(wheels=(Wheel(2), Wheel(3)))),
    ],
)
def test_what_just_fits_is_read(line: str, expected: Cart) -> None:
    assert read(f'name = "a"\n{line}\n') == (expected, [])


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        ("size = 0", f"size: is 0; {WHOLE}"),
        ("size = 1000000001", f"size: is 1000000001; {WHOLE}"),
        ("size = true", f"size: is true; {WHOLE}"),
        ("load = 0", f"load: is 0; {NUMBER}"),
        ("load = 0.0000000001", f"load: is 1E-10; {NUMBER}"),
        ("load = 1000000001", f"load: is 1000000001; {NUMBER}"),
        ("load = [1]", f"load: is a list; {NUMBER}"),
        ('is_sold = "yes"', "is_sold: is 'yes'; expected true or false."),
        ('colour = "green"', "colour: is 'green'; use one of red, blue."),
        ("words = 5", 'words: is 5; expected a list of texts, as ["a", "b"].'),
        ('words = [" a"]', f"words: is ' a'; {TEXT}"),
        ("words = [{}]", f"words: is a table; {TEXT}"),
        (f'words = ["{"w" * 201}"]', f"words: is '{'w' * 59}...; {TEXT}"),
        (f'words = [" {"w" * 57}"]', f"words: is ' {'w' * 57}'; {TEXT}"),
        (f'words = [" {"w" * 58}"]', f"words: is ' {'w' * 58}...; {TEXT}"),
        ("frame = 5", "frame: must be a table, under [frame]."),
        ("wheels = 5", "wheels: must be tables, each under [[wheels]]."),
        ("wheels = [5]", "wheels.0: must be a table, under [[wheels]]."),
        ("frame.wheels = [5]", "frame.wheels.0: must be a table, under [[frame.wheels]]."),
        ("weight = 5", f"weight: is not known here; known are {KNOWN}."),
        ("wheels = [{}]", "wheels.0.size: is missing; every template sets it."),
        ("wheels = [{size = 13}]", "wheels.0: is flat."),
    ],
)
def test_what_does_not_fit_is_told_on_its_line(line: str, defect: str) -> None:
    assert read(f'name = "a"\n{line}\n') == (None, [f"line 2: {defect}"])


def test_every_table_of_a_list_is_read_whatever_is_wrong_with_those_before() -> None:
    text = 'name = "a"\n[[wheels]]\nsize = 0\n[[wheels]]\nsize = 13\n[[wheels]]\nsizes = 1\n'

    assert read(text) == (
        None,
        [
            f"line 3: wheels.0.size: is 0; {WHOLE}",
            "line 4: wheels.1: is flat.",
            "line 7: wheels.2.sizes: is not known here; known are size.",
            "line 6: wheels.2.size: is missing; every template sets it.",
        ],
    )


PLACES: Final = """\
name = "a"
"XRPUSDT" = 1
[frame]
[[frame.wheels]]
size = 2
[[frame.wheels]]
[deep.below]
size = 3
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("name", 1),
        ("XRPUSDT", 2),
        ("frame", 3),
        ("frame.wheels", 4),
        ("frame.wheels.0.size", 5),
        ("frame.wheels.1", 6),
        ("frame.wheels.1.size", 6),
        ("deep", 7),
        ("deep.below", 7),
        ("deep.below.size", 8),
        ("deep.above.size", 7),
        ("nowhere", 0),
    ],
)
def test_a_defect_stands_on_its_line_or_on_that_of_the_nearest_table_around_it(where: str, line: int) -> None:
    reader = reader_of(PLACES)

    reader.note(where, "is odd.")

    assert reader.defects == [Defect(line, where, "is odd.")]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("#" * (LONGEST_LINE + 1), 1, "has 501 characters; break it into lines of at most 500."),
        ("\n" + "#" * (LONGEST_LINE + 1), 2, "has 501 characters; break it into lines of at most 500."),
        ("\n" * (LARGEST_FILE + 1), 0, "has 64001 characters; shorten it to at most 64000."),
        ("x = " + "[\n" * 9_000, 0, "lists stand too deep within lists; a template needs one within none."),
    ],
)
def test_what_is_too_large_or_too_deep_is_not_read(text: str, line: int, reason: str) -> None:
    assert parse(text) == Defect(line, "", reason)


@pytest.mark.parametrize(
    ("text", "line", "where", "advice"),
    [
        ('name = "a=b', 1, "name", "; correct this line."),
        ("a = 1\n\n[b", 3, "", "; correct this line."),
        ("a = 1\na = 2", 2, "a", "; write each name once."),
        ("[a]\n[b]\n[a]\nc = 1", 3, "", "; write each name once."),
        ("\ufeffa = 1", 1, "\\ufeffa", "; save the file as UTF-8 without a byte order mark."),
    ],
)
def test_what_is_no_toml_is_told_where_and_what_to_do(text: str, line: int, where: str, advice: str) -> None:
    defect = parse(text)

    assert isinstance(defect, Defect)
    assert (defect.line, defect.where) == (line, where)
    assert defect.reason.startswith("is no valid TOML: ")
    assert defect.reason.endswith(advice)


@pytest.mark.parametrize("text", ["#" * LONGEST_LINE, "\n" * LARGEST_FILE])
def test_a_file_may_be_as_large_as_its_bound(text: str) -> None:
    assert parse(text) == {}


@pytest.mark.parametrize(
    ("contents", "canonical"),
    [
        ({"b": 300, "a": Decimal("300.0")}, '{"a":"300","b":"300"}'),
        ({"a": "300"}, '{"a":{"text":"300"}}'),
        ({"a": "-0.5", "b": Decimal("-0.50")}, '{"a":{"text":"-0.5"},"b":"-0.5"}'),
        ({"a": "0.50", "b": "1e3", "c": "5 €"}, '{"a":"0.50","b":"1e3","c":"5 €"}'),
        ({"a": True, "b": [1, "x", {"c": Decimal("1E+3")}]}, '{"a":true,"b":["1","x",{"c":"1000"}]}'),
    ],
)
def test_a_digest_is_that_of_sorted_names_and_plain_numbers(contents: dict[str, Any], canonical: str) -> None:
    """What was signed years ago must still be found: the text below the digest never changes."""
    assert digest_of(contents) == hashlib.sha256(canonical.encode()).hexdigest()


def test_what_no_file_can_hold_has_no_digest() -> None:
    with pytest.raises(TypeError, match=r"^b'a' has no place in a template$"):
        digest_of({"a": b"a"})
