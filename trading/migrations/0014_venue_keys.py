"""Accounts beyond PAPER: their keys, what the venue says of each, whether they are armed, who belongs to an account."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


FORBID = """
CREATE TRIGGER armings_are_append_only BEFORE UPDATE OR DELETE ON trading_arming
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = "DROP TRIGGER armings_are_append_only ON trading_arming;"


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('trading', '0013_mandate_conduct'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Arming',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_armed', models.BooleanField()),
                ('build', models.CharField(blank=True, max_length=40)),
                ('phase', models.CharField(blank=True, max_length=8)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('by', models.CharField(max_length=310)),
                ('why', models.CharField(blank=True, max_length=200)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='KeyCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('opened', models.BooleanField(default=False)),
                ('objections', models.JSONField(null=True)),
                ('problem', models.CharField(blank=True, max_length=200)),
                ('skew_ms', models.FloatField(null=True)),
            ],
            options={
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
            options={
                'ordering': ['account', 'id'],
            },
        ),
        migrations.CreateModel(
            name='VenueKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('trade', 'trade'), ('cancel', 'cancel'), ('read', 'read')], max_length=6)),
                ('label', models.CharField(max_length=60)),
                ('sealed_key', models.TextField()),
                ('sealed_secret', models.TextField()),
                ('fingerprint', models.CharField(max_length=64)),
                ('last_four', models.CharField(max_length=4)),
                ('added_by', models.CharField(max_length=150)),
                ('added_at', models.DateTimeField()),
                ('revoked_by', models.CharField(blank=True, max_length=150)),
                ('revoked_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['account', 'purpose', '-id'],
            },
        ),
        migrations.AddField(
            model_name='account',
            name='proven_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='beyond_paper', to='trading.account'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(fields=('proven_by', 'mode'), name='one_account_per_mode'),
        ),
        migrations.AddField(
            model_name='arming',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='armings', to='trading.account'),
        ),
        migrations.AddField(
            model_name='membership',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='trading.account'),
        ),
        migrations.AddField(
            model_name='membership',
            name='group',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='auth.group'),
        ),
        migrations.AddField(
            model_name='membership',
            name='person',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='venuekey',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='venue_keys', to='trading.account'),
        ),
        migrations.AddField(
            model_name='keycheck',
            name='key',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='answer', to='trading.venuekey'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('account', 'person'), name='one_membership_per_person'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('account', 'group'), name='one_membership_per_group'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', False), ('person', None)), models.Q(('group', None), ('person__isnull', False)), _connector='OR'), name='a_membership_is_of_a_person_or_a_group'),
        ),
        migrations.AddConstraint(
            model_name='venuekey',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('account', 'purpose'), name='one_key_in_use_per_purpose'),
        ),
        migrations.AddConstraint(
            model_name='venuekey',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('fingerprint',), name='one_purpose_per_key_in_use'),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
