"""What an execution loop sees of itself, a row a minute; and every closed hour of an account in one row for good."""

import django.db.models.deletion
from django.db import migrations, models

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def account(related_name):
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE, related_name=related_name, to="trading.account", db_index=False
    )


class Migration(migrations.Migration):
    dependencies = [("trading", "0010_store_readings")]
    operations = [
        migrations.CreateModel(
            name="ConductSample",
            fields=[
                ("id", ID),
                ("account", account("conduct_samples")),
                ("at", models.DateTimeField()),
                ("facts", models.JSONField()),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [models.UniqueConstraint(fields=["account", "at"], name="one_conduct_sample_per_minute")],
            },
        ),
        migrations.CreateModel(
            name="HourFacts",
            fields=[
                ("id", ID),
                ("account", account("hour_facts")),
                ("hour", models.DateTimeField()),
                ("facts", models.JSONField()),
                ("unended", models.PositiveIntegerField()),
                ("fills_seen", models.BigIntegerField()),
            ],
            options={
                "ordering": ["account", "-hour"],
                "constraints": [models.UniqueConstraint(fields=["account", "hour"], name="one_row_per_hour")],
            },
        ),
    ]
