import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0024_grids_in_force'),
    ]

    operations = [
        migrations.CreateModel(
            name='FillMark',
            fields=[
                ('fill', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='marks', serialize=False, to='trading.fill')),
                ('mark', models.DecimalField(decimal_places=12, max_digits=28)),
                ('later', models.DecimalField(decimal_places=12, max_digits=28)),
                ('measured_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-fill'],
            },
        ),
    ]
