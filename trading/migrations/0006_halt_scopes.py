"""A halt may stop one symbol of an account; the write path refuses what any halt stops."""

from django.db import migrations, models

OLD = "stored := fence = p_fence AND (state = 'ACTIVE' OR NOT p_needs_active);"
NEW = """stored := fence = p_fence AND (NOT p_needs_active OR (state = 'ACTIVE' AND NOT EXISTS (
        SELECT FROM trading_halt h WHERE h.account_id = p_account AND h.released_at IS NULL
            AND h.symbol IN (SELECT o ->> 'symbol' FROM jsonb_array_elements(p_orders) o))));"""

# The function stands in 0004; only this condition changes.
REPLACE = """
DO $outer$
DECLARE body text := pg_get_functiondef('gridconsole_store_turn'::regproc);
BEGIN
    IF position($a${old}$a$ IN body) = 0 THEN RAISE EXCEPTION 'gridconsole_store_turn is not as expected'; END IF;
    EXECUTE replace(body, $a${old}$a$, $b${new}$b$);
END $outer$;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0005_reconciliation_room")]
    operations = [
        migrations.AddField("halt", "symbol", models.CharField(blank=True, default="", max_length=20), False),
        migrations.RemoveConstraint("halt", "one_latched_halt_per_account"),
        migrations.AddConstraint(
            "halt",
            models.UniqueConstraint(
                fields=["account", "symbol"], condition=models.Q(released_at=None), name="one_latched_halt_per_scope"
            ),
        ),
        migrations.RunSQL(REPLACE.format(old=OLD, new=NEW), REPLACE.format(old=NEW, new=OLD)),
    ]
