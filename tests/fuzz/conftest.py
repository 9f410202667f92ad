from collections.abc import Iterator

import pytest

from tests.fuzz.hostile import watching


@pytest.fixture(scope="session", autouse=True)
def watched() -> Iterator[None]:
    """Let no input hang a decoder."""
    with watching():
        yield
