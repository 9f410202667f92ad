"""What is shipped to browsers: vendored files are what they were, and nothing needs a looser policy."""

import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

STATIC = Path(settings.BASE_DIR) / "static"
VENDOR = STATIC / "vendor"
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
ALONE = "backtest_alone.html"  # a file that people take along and open from disk; it is served as a download only
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
LOCK = {name: digest for digest, name in map(str.split, (VENDOR / "vendor.lock").read_text().splitlines())}


def test_every_vendored_file_is_locked() -> None:
    assert set(LOCK) == {path.name for path in VENDOR.iterdir()} - {"vendor.lock"}


@pytest.mark.parametrize("name", LOCK)
def test_a_vendored_file_is_what_its_hash_says(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == LOCK[name]


@pytest.mark.parametrize("name", [name for name in LOCK if not name.endswith(".LICENSE.txt")])
def test_a_vendored_file_names_its_version_and_has_its_licence_beside_it(name: str) -> None:
    package = re.match(r"[a-z]+-\d+\.\d+\.\d+", name)

    assert package
    assert f"{package.group()}.LICENSE.txt" in LOCK


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_only_name_static_files_that_exist(path: Path) -> None:
    for name in re.findall(r"{% static '([^']+)' %}", path.read_text()):
        assert finders.find(name), name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_need_no_inline_code(path: Path) -> None:
    if path.name == ALONE:
        return
    text = path.read_text()

    assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"|hx-on|hx-vals=.js:|hx-boost|<script(?![^>]*src)", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_carries_its_token(path: Path) -> None:
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", path.read_text(), re.DOTALL):
        assert "{% csrf_token %}" in form


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_build_no_code_from_text(path: Path) -> None:
    assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write", path.read_text())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_only_import_scripts_that_exist(path: Path) -> None:
    for name in re.findall(r'from "\./([^"]+)"|import "\./([^"]+)"', path.read_text()):
        assert (STATIC / "js" / "".join(name)).exists()


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in [*TEMPLATES, *SCRIPTS, *sorted((STATIC / "css").glob("*.css"))]:
        for address in re.findall(r"https?://[^\s\"')]+", path.read_text()):
            assert address.startswith("http://www.w3.org/"), (path.name, address)
