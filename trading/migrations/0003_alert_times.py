"""An alert that repeats counts instead of filling the list."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0002_append_only")]
    operations = [
        migrations.AddField(
            model_name="alert",
            name="times",
            field=models.PositiveIntegerField(default=1),
        ),
    ]
