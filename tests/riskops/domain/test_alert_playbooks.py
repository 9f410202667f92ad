"""Rules and playbooks are two folders of data: neither may name what the other does not know."""

from pathlib import Path

import pytest

from riskops.domain import playbooks
from riskops.domain.alert_rules import read

RISKOPS = Path(playbooks.__file__).parents[1]
BOOK = read((RISKOPS / "alerts" / "rules.toml").read_text(encoding="utf-8"), playbooks=frozenset(playbooks.IDS))
FOLDER = {
    name: playbooks.read((RISKOPS / "playbooks" / f"{name}.toml").read_text(encoding="utf-8"), name=name)
    for name in playbooks.IDS
}


def test_every_playbook_has_its_file_and_every_file_its_playbook() -> None:
    assert {path.stem for path in (RISKOPS / "playbooks").glob("*.toml")} == set(playbooks.IDS)


@pytest.mark.parametrize("name", playbooks.IDS)
def test_an_alert_opens_the_playbook_that_its_rule_names(name: str) -> None:
    named = {rule.code: rule.playbook for rule in BOOK}

    assert {code: named.get(code) for code in FOLDER[name].alerts} == dict.fromkeys(FOLDER[name].alerts, name)


def test_every_playbook_is_somebodys() -> None:
    needed = {rule.playbook for rule in BOOK if rule.playbook} | {one for one in FOLDER if FOLDER[one].metrics}

    assert needed == set(playbooks.IDS)
