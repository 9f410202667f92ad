"""Incidents by playbook, what was done in them, reviews of a desk; a HOLD that extends a run."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FORBID = """
CREATE TRIGGER incident_steps_are_append_only BEFORE UPDATE OR DELETE ON riskops_incidentstep
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
CREATE TRIGGER desk_reviews_are_append_only BEFORE UPDATE OR DELETE ON riskops_deskreview
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = """
DROP TRIGGER incident_steps_are_append_only ON riskops_incidentstep;
DROP TRIGGER desk_reviews_are_append_only ON riskops_deskreview;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0003_alerting'),
        ('trading', '0013_mandate_conduct'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DeskReview',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('note', models.CharField(blank=True, max_length=1000)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='IncidentStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('step', models.CharField(blank=True, max_length=40)),
                ('kind', models.CharField(choices=[('done', 'Done'), ('applied', 'Applied'), ('undone', 'Undone'), ('note', 'Note'), ('owner', 'Owner'), ('resolved', 'Resolution'), ('recovered', 'Recovered')], max_length=9)),
                ('note', models.CharField(blank=True, max_length=1000)),
                ('override', models.BigIntegerField(null=True)),
                ('by', models.CharField(max_length=150)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='incident',
            name='one_open_incident_per_criterion',
        ),
        migrations.AddField(
            model_name='incident',
            name='alert',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='incident',
            name='began_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='incident',
            name='opened_by',
            field=models.CharField(default='governance', max_length=150),
        ),
        migrations.AddField(
            model_name='incident',
            name='owner',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='incident',
            name='playbook',
            field=models.CharField(default='crit', max_length=30),
        ),
        migrations.AddField(
            model_name='incident',
            name='recovered_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='incident',
            name='resolution',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='incident',
            name='retest_from',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='incident',
            name='severity',
            field=models.CharField(choices=[('INFO', 'INFO'), ('WARN', 'WARN'), ('CRIT', 'CRIT')], default='CRIT', max_length=4),
        ),
        migrations.AddField(
            model_name='phaserun',
            name='extended',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='incident',
            name='failed_run',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='incident',
            name='metric',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AlterField(
            model_name='incident',
            name='run',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='incidents', to='riskops.phaserun'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None), models.Q(('metric', ''), _negated=True)), fields=('run', 'metric'), name='one_open_incident_per_criterion'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None), models.Q(('alert', None), _negated=True)), fields=('account', 'playbook'), name='one_open_incident_of_alerts_per_playbook'),
        ),
        migrations.AddField(
            model_name='deskreview',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='desk_reviews', to='trading.account'),
        ),
        migrations.AddField(
            model_name='deskreview',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='incidentstep',
            name='incident',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='riskops.incident'),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
