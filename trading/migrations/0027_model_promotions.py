"""Replays of what models read; these and the moves of models are never changed."""

import django.db.models.deletion
from django.db import migrations, models


TABLES = ("modelchange", "modelreplay")
FORBID = "".join(
    f"""CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE ON trading_{table}
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
    for table in TABLES
)
ALLOW = "".join(f"DROP TRIGGER {table}_is_append_only ON trading_{table};\n" for table in TABLES)


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0026_learning'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelReplay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('compared', models.PositiveIntegerField()),
                ('equal', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='replays', to='trading.modelversion')),
            ],
            options={
                'ordering': ['id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('equal__lte', models.F('compared'))), name='no_more_equal_than_compared')],
            },
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
