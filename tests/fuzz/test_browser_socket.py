"""Whatever a browser says over its socket, it is pause, resume, or the reason to hang up."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.hostile import VALUES, damaged, documents, many, promptly, wire
from trading import consumers
from trading.consumers import FRAME_LIMIT, LiveConsumer

PAUSE = {"pause": 1}
FRAMES = st.one_of(
    st.none(),
    st.text(max_size=60),
    VALUES.map(lambda value: wire(value).decode("utf-8", "surrogatepass")),
    documents(PAUSE, {"resume": 1}).map(lambda value: wire(value).decode("utf-8", "surrogatepass")),
    damaged(json.dumps(PAUSE).encode()).map(lambda data: data.decode("utf-8", "replace")),
    st.integers(150, 100_000).map("[".__mul__),
)


@many
@given(FRAMES)
def test_a_frame_is_pause_resume_or_nothing(text: str | None) -> None:
    with promptly():
        word = consumers._word(text)

    assert word in {"", "pause", "resume"}
    if word:
        assert text is not None
        assert len(text) <= FRAME_LIMIT
        assert json.loads(text) == {word: 1}


def _consumer(query: bytes) -> Any:
    consumer = LiveConsumer()
    consumer.scope = {"query_string": query}
    return consumer


QUERIES = st.binary(max_size=80) | damaged(b"desk=micro&x=1") | st.just(b"desk=%00") | st.just(b"&" * 10_000)


@many
@given(QUERIES)
def test_the_desk_a_browser_asks_for_is_text_the_database_can_compare(query: bytes) -> None:
    with promptly():
        desk = _consumer(query)._asked_desk()

    desk.encode()
    assert "\x00" not in desk
