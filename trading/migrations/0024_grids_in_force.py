"""Which grids the desks ran: written once, as fills are."""

import django.db.models.deletion
from django.db import migrations, models


APPEND_ONLY = """
CREATE TRIGGER grids_in_force_are_append_only BEFORE UPDATE OR DELETE ON trading_gridinforce
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0023_moving_grids'),
    ]

    operations = [
        migrations.CreateModel(
            name='GridInForce',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('symbol', models.CharField(max_length=20)),
                ('words', models.JSONField()),
                ('edited_at', models.DateTimeField(null=True)),
                ('cause', models.CharField(choices=[('start', 'start'), ('mandate', 'mandate'), ('edit', 'edit'), ('unknown', 'unknown')], max_length=8)),
                ('since', models.DateTimeField()),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='grids_in_force', to='trading.account')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['account', 'symbol', '-id'], name='newest_grid_in_force')],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, "DROP TRIGGER grids_in_force_are_append_only ON trading_gridinforce"),
    ]
