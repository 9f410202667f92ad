"""Reports as they were made, compliance items with their ticks, bills: rows that are never changed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLES = ("report", "complianceitem", "compliancetick", "costentry")
FORBID = "".join(
    f"""CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE ON riskops_{table}
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
    for table in TABLES
)
ALLOW = "".join(f"DROP TRIGGER {table}_is_append_only ON riskops_{table};\n" for table in TABLES)


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0004_playbooks'),
        ('trading', '0011_conduct'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ComplianceItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=200)),
                ('due_on', models.DateField()),
                ('opened_by', models.CharField(max_length=150)),
                ('opened_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='compliance_items', to='trading.account')),
            ],
            options={
                'ordering': ['due_on', 'id'],
            },
        ),
        migrations.CreateModel(
            name='ComplianceTick',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('done', models.BooleanField()),
                ('note', models.CharField(max_length=300)),
                ('at', models.DateTimeField()),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ticks', to='riskops.complianceitem')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='CostEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('billed_on', models.DateField()),
                ('what', models.CharField(max_length=100)),
                ('amount', models.DecimalField(decimal_places=2, max_digits=12)),
                ('currency', models.CharField(max_length=5)),
                ('entered_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='costs', to='trading.account')),
                ('entered_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-billed_on', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('daily', 'daily'), ('weekly', 'weekly'), ('monthly', 'monthly'), ('phase', 'phase')], max_length=8)),
                ('period', models.CharField(max_length=12)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('facts', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('maker', models.PositiveSmallIntegerField()),
                ('made_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reports', to='trading.account')),
            ],
            options={
                'ordering': ['-until', '-id'],
            },
        ),
        migrations.AddConstraint(
            model_name='complianceitem',
            constraint=models.UniqueConstraint(fields=('account', 'title'), name='one_compliance_item_per_title'),
        ),
        migrations.AddConstraint(
            model_name='costentry',
            constraint=models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='a_bill_is_not_nothing'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(fields=('account', 'kind', 'period'), name='one_report_per_period'),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
