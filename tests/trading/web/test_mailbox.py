"""What one browser gets, however slowly it reads."""

import orjson

from trading.live.mailbox import Mailbox

LATEST = {"m.BTCUSDT.px": 3.0, "replay.lap": 2}


def read(box: Mailbox) -> list[dict[str, object]]:
    return [orjson.loads(frame) for frame in box.frames(LATEST, 1_000)]


def test_the_first_frame_is_a_snapshot_numbered_zero() -> None:
    assert read(Mailbox()) == [{"snap": 1, "n": 0, "t": 1_000, "d": LATEST}]


def test_deltas_carry_only_the_newest_value_and_count_up() -> None:
    box = Mailbox()
    read(box)

    box.offer({"a": 1})
    box.offer({"a": 2, "b": 1})
    first = read(box)
    box.offer({"a": 3})
    second = read(box)

    assert first == [{"n": 1, "t": 1_000, "d": {"a": 2, "b": 1}}]
    assert second == [{"n": 2, "t": 1_000, "d": {"a": 3}}]


def test_nothing_new_is_no_frame() -> None:
    box = Mailbox()
    read(box)

    assert box.is_empty
    assert read(box) == []


def test_a_slow_reader_skips_to_a_snapshot_and_counts_anew() -> None:
    box = Mailbox()
    read(box)
    box.offer({"a": 1})
    read(box)

    box.offer({"a": 2})
    box.skip_to_snapshot()

    assert read(box) == [{"snap": 1, "n": 0, "t": 1_000, "d": LATEST}]


def test_a_box_never_holds_more_than_one_value_per_key() -> None:
    box = Mailbox()
    read(box)

    for value in range(10_000):
        box.offer({"m.BTCUSDT.px": value})

    assert read(box) == [{"n": 1, "t": 1_000, "d": {"m.BTCUSDT.px": 9_999}}]


def test_a_hidden_tab_gets_nothing_and_starts_again_with_a_snapshot() -> None:
    box = Mailbox()
    read(box)

    box.pause()
    box.offer({"a": 1})
    box.tell(["halt"])
    hidden = read(box)
    box.resume()
    shown = read(box)

    assert hidden == []
    assert shown == [{"snap": 1, "n": 0, "t": 1_000, "d": LATEST}, {"ev": ["halt"]}]


def test_the_same_event_twice_is_told_once() -> None:
    box = Mailbox()
    read(box)

    box.tell(["alerts"])
    box.tell(["alerts", "halt"])

    assert read(box) == [{"ev": ["alerts", "halt"]}]
