"""A mandate carries how orders are sent and how often the desk is looked at; what stands gets the numbers of 4.0."""

import django.db.models.deletion
from django.db import migrations, models

ACTS = ("orders_per_minute", "decision_interval", "order_timeout", "lot_size", "market_only")
MONEY = {"max_digits": 28, "decimal_places": 12, "null": True, "blank": True}


def field(name, kind):
    return migrations.AddField(model_name="mandate", name=name, field=kind)


FORBID = """
CREATE FUNCTION gridconsole_override_is_only_undone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.undone_at IS NULL AND NEW.undone_at IS NOT NULL
        AND (to_jsonb(NEW) - 'undone_at' - 'undone_by') = (to_jsonb(OLD) - 'undone_at' - 'undone_by') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER overrides_are_only_undone BEFORE UPDATE OR DELETE ON trading_conductoverride
    FOR EACH ROW EXECUTE FUNCTION gridconsole_override_is_only_undone();
"""
ALLOW = """
DROP TRIGGER overrides_are_only_undone ON trading_conductoverride;
DROP FUNCTION gridconsole_override_is_only_undone();
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0012_alert_clearing")]
    operations = [
        field("max_trade_loss_quote", models.DecimalField(**MONEY)),
        field("max_slippage_loss_quote", models.DecimalField(**MONEY)),
        field("order_timeout_ms", models.PositiveIntegerField(default=5_000)),
        field("max_retries", models.PositiveIntegerField(default=3)),
        field("position_sync_every_s", models.PositiveIntegerField(default=5)),
        field("health_every_s", models.PositiveIntegerField(default=300)),
        field("metrics_every_s", models.PositiveIntegerField(default=3_600)),
        field("review_every_h", models.PositiveIntegerField(default=6)),
        field("alert_level", models.CharField(default="CRIT", max_length=4)),
        migrations.CreateModel(
            name="ConductOverride",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("act", models.CharField(choices=[(act, act) for act in ACTS], max_length=20)),
                ("factor", models.DecimalField(decimal_places=4, max_digits=8)),
                ("limit", models.PositiveIntegerField(null=True)),
                ("by", models.CharField(max_length=150)),
                ("reason", models.CharField(max_length=200)),
                ("incident", models.BigIntegerField(null=True)),
                ("applied_at", models.DateTimeField()),
                ("undone_at", models.DateTimeField(null=True)),
                ("undone_by", models.CharField(blank=True, max_length=150)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="overrides", to="trading.account"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("undone_at", None)),
                        fields=["account", "act", "incident"],
                        name="one_override_of_a_kind_per_incident",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
