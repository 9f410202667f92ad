"""The table of alert rules in the documents is the one in force."""

from pathlib import Path
from typing import Final

from riskops.domain.alert_rules import AlertRule, read
from riskops.domain.playbooks import IDS

ROOT: Final = Path(__file__).resolve().parents[2]
HEAD: Final = "| rule | watches | limit | playbook |\n|---|---|---|---|"


def row(rule: AlertRule) -> str:
    """Return one line of the table."""
    name = f"{rule.severity} `{rule.code}`" + (f" ({rule.desk_id})" if rule.desk_id else "")
    number = rule.number.replace(" of the mandate", " (mandate)")
    return f"| {name} | {rule.watches} | {number or '—'} | {rule.playbook or '—'} |"


def table() -> str:
    """Return the table as the documents must show it."""
    book = read((ROOT / "riskops/alerts/rules.toml").read_text(), playbooks=frozenset(IDS))
    return "\n".join([HEAD, *map(row, book)])


def test_the_table_of_rules_is_the_one_in_force() -> None:
    text = (ROOT / "docs/alerts.md").read_text()

    assert text.partition("<!-- rules -->\n")[2].partition("\n<!-- /rules -->")[0] == table()
