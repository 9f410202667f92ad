"""Health for machines."""

from django.test import Client


def test_a_living_process_says_so(client: Client) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")
