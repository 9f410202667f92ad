"""A release is recorded with both names: two user names of 150 characters and what stands between them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0008_adoption")]
    operations = [migrations.AlterField("auditevent", "actor", models.CharField(max_length=310))]
