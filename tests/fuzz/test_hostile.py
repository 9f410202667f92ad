"""The fuzz tests notice what they are there to notice."""

import pytest

from tests.fuzz.hostile import Hang, assert_sound, refused


def hang() -> None:
    while True:
        pass


def test_a_decoder_that_hangs_is_ended() -> None:
    with pytest.raises(Hang):
        refused(hang)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**63, "\x00", "\ud800", {"a": [float("nan")]}, object()]
)
def test_a_value_that_is_not_sound_is_noticed(value: object) -> None:
    with pytest.raises((AssertionError, UnicodeEncodeError)):
        assert_sound(value)


def test_another_error_than_the_documented_one_is_noticed() -> None:
    with pytest.raises(ZeroDivisionError):
        refused(lambda: 1 // 0, ValueError)
