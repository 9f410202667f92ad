"""The backtest lab: what was asked of it and what came of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0017_market_store'),
    ]

    operations = [
        migrations.CreateModel(
            name='Backtest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('settings', models.JSONField()),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField()),
                ('state', models.CharField(choices=[('WAITING', 'Waiting'), ('RUNNING', 'Running'), ('DONE', 'Done'), ('FAILED', 'Failed'), ('CANCELED', 'Cancelled')], default='WAITING', max_length=8)),
                ('progress', models.FloatField(default=0)),
                ('cancel_asked', models.BooleanField(default=False)),
                ('began_at', models.DateTimeField(null=True)),
                ('seen_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('facts', models.JSONField(null=True)),
                ('curves', models.JSONField(null=True)),
                ('why', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['state', 'id'], name='trading_bac_state_374067_idx')],
            },
        ),
    ]
