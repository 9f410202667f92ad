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
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mark', models.DecimalField(decimal_places=12, max_digits=28)),
                ('later', models.DecimalField(decimal_places=12, max_digits=28)),
                ('measured_at', models.DateTimeField()),
                ('fill', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='marks', to='trading.fill')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
    ]
