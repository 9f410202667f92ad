"""Transfers that the capital in force asks for, and what of them was booked: written once, as fills are."""

import django.db.models.deletion
from django.db import migrations, models


APPEND_ONLY = """
CREATE TRIGGER cash_flows_are_append_only BEFORE UPDATE OR DELETE ON trading_cashflow
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0018_market_store'),
    ]

    operations = [
        migrations.CreateModel(
            name='CapitalTransfer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('flow_id', models.CharField(max_length=40, unique=True)),
                ('amount_quote', models.DecimalField(decimal_places=12, max_digits=28)),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField()),
                ('confirmed_by', models.CharField(blank=True, max_length=150)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('is_void', models.BooleanField(default=False)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transfers', to='trading.account')),
                ('mandate', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='transfer', to='trading.mandate')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CashFlow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount_quote', models.DecimalField(decimal_places=12, max_digits=28)),
                ('made_at', models.DateTimeField()),
                ('booked_at', models.DateTimeField()),
                ('equity_before_quote', models.DecimalField(decimal_places=12, max_digits=28)),
                ('paid_in_quote', models.DecimalField(decimal_places=12, max_digits=28)),
                ('scale', models.DecimalField(decimal_places=12, max_digits=28)),
                ('high_water_quote', models.DecimalField(decimal_places=12, max_digits=28)),
                ('lap', models.PositiveIntegerField()),
                ('day_opened_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='flows', to='trading.account')),
                ('transfer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='booked', to='trading.capitaltransfer')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddConstraint(
            model_name='capitaltransfer',
            constraint=models.CheckConstraint(condition=models.Q(('amount_quote', 0), _negated=True), name='transfers_move_something'),
        ),
        migrations.AddConstraint(
            model_name='cashflow',
            constraint=models.CheckConstraint(condition=models.Q(('scale__gt', 0)), name='scale_is_above_zero'),
        ),
        migrations.RunSQL(APPEND_ONLY, "DROP TRIGGER cash_flows_are_append_only ON trading_cashflow"),
    ]
