"""The tags of phases that succeeded."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0008_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReleaseTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('message', models.TextField()),
                ('state', models.CharField(choices=[('RECORDED', 'Recorded'), ('PENDING', 'Pending'), ('CREATED', 'Created'), ('FAULT', 'Fault')], max_length=8)),
                ('commit', models.CharField(blank=True, max_length=64)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('recorded_at', models.DateTimeField()),
                ('tried_at', models.DateTimeField(null=True)),
                ('request', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='release_tag', to='riskops.steprequest')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
    ]
