"""What the newest reading of the venue showed, and what people decided about orders that are not ours."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0004_store_turn"),
    ]

    operations = [
        migrations.CreateModel(
            name="VenueReading",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_clean", models.BooleanField()),
                ("discrepancies", models.JSONField(default=list)),
                ("local_open", models.PositiveIntegerField()),
                ("venue_open", models.PositiveIntegerField()),
                ("foreign", models.JSONField(default=list)),
                ("balances", models.JSONField(default=dict)),
                ("dust", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="reading", to="trading.account"
                    ),
                ),
            ],
            options={
                "ordering": ["account"],
            },
        ),
        migrations.CreateModel(
            name="ForeignOrderDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("client_order_id", models.CharField(max_length=64)),
                ("symbol", models.CharField(max_length=20)),
                ("choice", models.CharField(choices=[("CANCEL", "Cancel"), ("LEAVE", "Leave it")], max_length=6)),
                ("decided_by", models.CharField(max_length=150)),
                ("decided_at", models.DateTimeField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("ASKED", "Asked"),
                            ("CANCELED", "Cancelled"),
                            ("FAILED", "Not confirmed"),
                            ("LEFT", "Left alone"),
                        ],
                        max_length=8,
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=200)),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="foreign_decisions",
                        to="trading.account",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["account", "outcome"], name="trading_for_account_41eed6_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("outcome", "ASKED")),
                        fields=("account", "client_order_id"),
                        name="one_cancel_asked_per_foreign_order",
                    )
                ],
            },
        ),
    ]
