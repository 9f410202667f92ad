"""Rows that record what happened are never changed or deleted; the audit chain has its one head row."""

from django.db import migrations

GENESIS = "0" * 64
FORBID = """
CREATE FUNCTION gridconsole_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON trading_auditevent
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
CREATE TRIGGER fills_are_append_only BEFORE UPDATE OR DELETE ON trading_fill
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
CREATE TRIGGER settlements_are_append_only BEFORE UPDATE OR DELETE ON trading_settlement
    FOR EACH ROW EXECUTE FUNCTION gridconsole_append_only();
"""
ALLOW = """
DROP TRIGGER audit_is_append_only ON trading_auditevent;
DROP TRIGGER fills_are_append_only ON trading_fill;
DROP TRIGGER settlements_are_append_only ON trading_settlement;
DROP FUNCTION gridconsole_append_only();
"""


def add_head(apps, schema_editor):
    apps.get_model("trading", "AuditHead").objects.create(pk=1, sequence=0, hash=GENESIS)


class Migration(migrations.Migration):
    dependencies = [("trading", "0001_initial")]
    operations = [
        migrations.RunSQL(FORBID, ALLOW),
        migrations.RunPython(add_head, migrations.RunPython.noop),
    ]
