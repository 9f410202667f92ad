"""What a request claims about itself is not believed."""

import pytest
from django.test import Client


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", "a b"])
def test_a_host_that_is_none_of_ours_is_refused(host: str) -> None:
    assert Client().get("/login/", headers={"Host": host}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "host=evil.example"},
    ],
)  # fmt: skip
def test_what_a_proxy_would_say_is_not_believed_of_a_browser(headers: dict[str, str]) -> None:
    answer = Client().get("/risk/", headers=headers)

    assert answer.headers["Location"] == "/login/?next=/risk/"
    assert "evil" not in str(answer.headers)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_method_in_a_header_or_a_field_is_no_method(admin_client: Client, method: str) -> None:
    answer = admin_client.get("/gate/request/", {"_method": method}, headers={"X-HTTP-Method-Override": method})

    assert answer.status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/static/../gridconsole/settings.py", "/static/%2e%2e/manage.py", "/..%2fmanage.py"])
def test_a_path_leads_nowhere_else(path: str) -> None:
    assert Client().get(path).status_code == 404
