"""How much of a transfer a person says was moved; what a part leaves open is a transfer of the same mandate."""

import django.db.models.deletion
from django.db import migrations, models

# A word of before was about all that was asked for.
CONFIRMED = "UPDATE trading_capitaltransfer SET confirmed_quote = amount_quote WHERE confirmed_at IS NOT NULL"


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0020_backtests"),
    ]

    operations = [
        migrations.AddField(
            model_name="capitaltransfer",
            name="confirmed_quote",
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.AlterField(
            model_name="capitaltransfer",
            name="mandate",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="transfers", to="trading.mandate"
            ),
        ),
        migrations.RunSQL(CONFIRMED, migrations.RunSQL.noop),
    ]
