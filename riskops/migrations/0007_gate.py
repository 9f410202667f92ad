"""Late alerts, re-tests, and files attached to the checklist, which are never changed."""

import django.db.models.deletion
from django.db import migrations, models

FORBID = """
CREATE TRIGGER attachments_are_append_only BEFORE UPDATE OR DELETE ON riskops_checklistattachment
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = "DROP TRIGGER attachments_are_append_only ON riskops_checklistattachment;"


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0006_arming'),
    ]

    operations = [
        migrations.AddField(
            model_name='phaserun',
            name='is_retest',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='phaserun',
            name='window_snapshot',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='phaserun',
            name='window_transaction',
            field=models.BigIntegerField(default=0),
        ),
        migrations.CreateModel(
            name='ChecklistAttachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('kind', models.CharField(max_length=40)),
                ('size', models.PositiveIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('content', models.BinaryField()),
                ('tick', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='attachment', to='riskops.checklisttick')),
            ],
            options={
                'ordering': ['id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('size__gt', 0), ('size__lte', 1000000)), name='attachment_is_small')],
            },
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
