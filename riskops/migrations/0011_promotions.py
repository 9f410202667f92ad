"""Requests to promote a model; what was signed is never changed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


FORBID = """
CREATE TRIGGER promotion_signatures_are_append_only BEFORE UPDATE OR DELETE ON riskops_promotionsignature
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = "DROP TRIGGER promotion_signatures_are_append_only ON riskops_promotionsignature;"


class Migration(migrations.Migration):

    dependencies = [
        ('riskops', '0010_break_glass'),
        ('trading', '0027_model_promotions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PromotionRequest',
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
                ('before', models.CharField(choices=[('REGISTERED', 'registered'), ('OFFLINE_PASS', 'offline pass'), ('SHADOW', 'shadow'), ('CANARY', 'canary'), ('CHAMPION', 'champion'), ('RETIRED', 'retired'), ('ROLLED_BACK', 'rolled back'), ('REFUSED', 'refused')], max_length=12)),
                ('after', models.CharField(choices=[('REGISTERED', 'registered'), ('OFFLINE_PASS', 'offline pass'), ('SHADOW', 'shadow'), ('CANARY', 'canary'), ('CHAMPION', 'champion'), ('RETIRED', 'retired'), ('ROLLED_BACK', 'rolled back'), ('REFUSED', 'refused')], max_length=12)),
                ('canary_symbol', models.CharField(blank=True, max_length=20)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotion_requests', to='trading.modelversion')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PromotionSignature',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('Trader', 'Trader'), ('Trading Lead', 'Trading Lead'), ('Engineer', 'Engineer'), ('CTO', 'CTO'), ('CEO', 'CEO'), ('Compliance', 'Compliance'), ('Auditor', 'Auditor')], max_length=20)),
                ('approves', models.BooleanField()),
                ('note', models.CharField(blank=True, max_length=300)),
                ('digest', models.CharField(max_length=64)),
                ('signed_at', models.DateTimeField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sign_offs', to='riskops.promotionrequest')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddConstraint(
            model_name='promotionrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'OPEN')), fields=('version',), name='one_open_promotion_per_model'),
        ),
        migrations.AddConstraint(
            model_name='promotionrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'DECIDED'), _negated=True), models.Q(('decision', 'PENDING'), _negated=True), _connector='OR'), name='a_decided_promotion_says_what'),
        ),
        migrations.AddConstraint(
            model_name='promotionsignature',
            constraint=models.UniqueConstraint(fields=('request', 'role'), name='one_promotion_signature_per_role'),
        ),
        migrations.AddConstraint(
            model_name='promotionsignature',
            constraint=models.UniqueConstraint(fields=('request', 'person'), name='one_promotion_role_per_person'),
        ),
        migrations.RunSQL(FORBID, ALLOW),
    ]
