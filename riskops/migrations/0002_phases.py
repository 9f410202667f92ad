"""Phases: templates, runs, requests, ticks, signatures, incidents; what was signed or read is never changed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


FORBID = """
CREATE TRIGGER sign_offs_are_append_only BEFORE UPDATE OR DELETE ON riskops_signoff
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
CREATE TRIGGER ticks_are_append_only BEFORE UPDATE OR DELETE ON riskops_checklisttick
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
CREATE TRIGGER templates_are_append_only BEFORE UPDATE OR DELETE ON riskops_phasetemplate
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = """
DROP TRIGGER sign_offs_are_append_only ON riskops_signoff;
DROP TRIGGER ticks_are_append_only ON riskops_checklisttick;
DROP TRIGGER templates_are_append_only ON riskops_phasetemplate;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0001_initial'),
        ('trading', '0011_conduct'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PhaseTemplate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('phase', models.CharField(max_length=8)),
                ('version', models.PositiveIntegerField()),
                ('text', models.TextField()),
                ('digest', models.CharField(max_length=64)),
                ('loaded_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['phase', '-version'],
                'constraints': [models.UniqueConstraint(fields=('phase', 'version'), name='one_template_per_version')],
            },
        ),
        migrations.CreateModel(
            name='PhaseRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_by', models.CharField(max_length=150)),
                ('started_at', models.DateTimeField()),
                ('window_from', models.DateTimeField()),
                ('outcome', models.CharField(choices=[('RUNNING', 'RUNNING'), ('PASS', 'PASS'), ('STAY', 'STAY'), ('FAIL', 'FAIL')], default='RUNNING', max_length=8)),
                ('judged_at', models.DateTimeField(null=True)),
                ('accelerated', models.BooleanField(default=False)),
                ('decision', models.CharField(choices=[('PENDING', 'PENDING'), ('GO', 'GO'), ('HOLD', 'HOLD'), ('NO_GO', 'NO_GO')], default='PENDING', max_length=8)),
                ('ended_at', models.DateTimeField(null=True)),
                ('measured', models.JSONField(default=dict)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='phase_runs', to='trading.account')),
                ('mandate', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='phase_run', to='trading.mandate')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='riskops.phasetemplate')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='StepRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('requested_at', models.DateTimeField()),
                ('shown', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('OPEN', 'Open'), ('DECIDED', 'Decided'), ('VOID', 'Void'), ('EXPIRED', 'Expired')], default='OPEN', max_length=8)),
                ('why_void', models.CharField(blank=True, max_length=300)),
                ('decision', models.CharField(choices=[('PENDING', 'PENDING'), ('GO', 'GO'), ('HOLD', 'HOLD'), ('NO_GO', 'NO_GO')], default='PENDING', max_length=8)),
                ('decided_at', models.DateTimeField(null=True)),
                ('notes', models.TextField(blank=True)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='riskops.phaserun')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='SignOff',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('Trader', 'Trader'), ('Trading Lead', 'Trading Lead'), ('Engineer', 'Engineer'), ('CTO', 'CTO'), ('CEO', 'CEO'), ('Compliance', 'Compliance'), ('Auditor', 'Auditor')], max_length=20)),
                ('approves', models.BooleanField()),
                ('note', models.CharField(blank=True, max_length=300)),
                ('digest', models.CharField(max_length=64)),
                ('signed_at', models.DateTimeField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sign_offs', to='riskops.steprequest')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='ChecklistTick',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.CharField(max_length=200)),
                ('done', models.BooleanField()),
                ('note', models.CharField(blank=True, max_length=300)),
                ('at', models.DateTimeField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ticks', to='riskops.steprequest')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(max_length=40)),
                ('what', models.CharField(max_length=300)),
                ('failed_run', models.BooleanField()),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(null=True)),
                ('cause', models.TextField(blank=True)),
                ('impact', models.TextField(blank=True)),
                ('prevention', models.TextField(blank=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='incidents', to='trading.account')),
                ('closed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='incidents', to='riskops.phaserun')),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('run', 'metric'), name='one_open_incident_per_criterion')],
            },
        ),
        migrations.AddConstraint(
            model_name='phaserun',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('account',), name='one_open_run_per_account'),
        ),
        migrations.AddConstraint(
            model_name='phaserun',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('decision', 'PENDING'), _negated=True), _connector='OR'), name='an_ended_run_is_decided'),
        ),
        migrations.AddConstraint(
            model_name='steprequest',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'OPEN')), fields=('run',), name='one_open_request_per_run'),
        ),
        migrations.AddConstraint(
            model_name='steprequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'DECIDED'), _negated=True), models.Q(('decision', 'PENDING'), _negated=True), _connector='OR'), name='a_decided_request_says_what'),
        ),
        migrations.AddConstraint(
            model_name='signoff',
            constraint=models.UniqueConstraint(fields=('request', 'role'), name='one_signature_per_role'),
        ),
        migrations.AddConstraint(
            model_name='signoff',
            constraint=models.UniqueConstraint(fields=('request', 'person'), name='one_role_per_person'),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
