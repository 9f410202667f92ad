"""Which transaction stored an alert: a window that began before it was seen counts it all the same."""

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0015_audit_search'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='stored_in',
            field=models.BigIntegerField(db_default=django.db.models.functions.comparison.Cast(django.db.models.functions.comparison.Cast(models.Func(function='pg_current_xact_id'), models.TextField()), models.BigIntegerField())),
        ),
    ]
