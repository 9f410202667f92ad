"""Searches in the backtest lab, and what they propose for grids of paper accounts."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0021_transfers_in_parts'),
    ]

    operations = [
        migrations.AddField(
            model_name='backtest',
            name='plan',
            field=models.JSONField(null=True),
        ),
        migrations.CreateModel(
            name='GridCandidate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('symbol', models.CharField(max_length=20)),
                ('settings', models.JSONField()),
                ('search', models.BigIntegerField()),
                ('trial', models.PositiveIntegerField()),
                ('found', models.JSONField()),
                ('proposed_by', models.CharField(max_length=150)),
                ('proposed_at', models.DateTimeField()),
                ('taken_up_at', models.DateTimeField(null=True)),
                ('dropped_at', models.DateTimeField(null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='candidates', to='trading.account')),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('dropped_at', None), ('taken_up_at', None)), fields=('account', 'symbol'), name='one_candidate_per_grid')],
            },
        ),
    ]
