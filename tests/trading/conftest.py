"""What tests of several rooms of operation need."""

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def no_session_left(transactional_db: None) -> Iterator[None]:
    """Close the pool that the loops' threads filled, so that the test database can be dropped."""
    yield
    connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL back end alone
