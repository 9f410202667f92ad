"""The rulebook as the product reads it: once, with the playbooks that exist, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from riskops import alarming
from riskops.domain.alert_rules import UnreadableRules


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    alarming.rulebook.cache_clear()
    yield
    alarming.rulebook.cache_clear()


def test_the_rules_of_the_product_load_with_the_playbooks_it_has() -> None:
    assert alarming.rulebook() is alarming.rulebook()


def test_without_a_folder_of_playbooks_no_alarm_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(alarming, "PLAYBOOKS", tmp_path / "none")

    with pytest.raises(UnreadableRules, match="'daily_drawdown', which is no playbook"):
        alarming.rulebook()


def test_a_rule_whose_playbook_is_missing_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "crit.toml").write_text("")
    monkeypatch.setattr(alarming, "PLAYBOOKS", tmp_path)

    with pytest.raises(UnreadableRules, match="'daily_drawdown', which is no playbook; use one of crit"):
        alarming.rulebook()


def test_the_product_does_not_start_with_an_alarm_that_nobody_can_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(alarming.RULES.read_text().replace('playbook = "fees"\n', ""))
    monkeypatch.setattr(alarming, "RULES", rules)

    with pytest.raises(CommandError, match=r"alert rules, line \d+: rules\.\d+\.playbook: FEES has no playbook"):
        call_command("prepare")
