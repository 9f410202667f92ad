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
CREATE FUNCTION gridconsole_audit_append(
    p_at timestamptz, p_at_us bigint, p_actor text, p_action text, p_subject text, p_payload text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head trading_audithead;
    digest text;
BEGIN
    SELECT * INTO head FROM trading_audithead WHERE id = 1 FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO trading_audithead (id, sequence, hash) VALUES (1, 0, repeat('0', 64)) RETURNING * INTO head;
    END IF;
    digest := encode(sha256(convert_to(concat_ws(
        E'\\n', head.hash, head.sequence + 1, p_at_us, p_actor, p_action, p_subject, p_payload
    ), 'UTF8')), 'hex');
    INSERT INTO trading_auditevent (sequence, at, actor, action, subject, payload, previous_hash, hash)
    VALUES (head.sequence + 1, p_at, p_actor, p_action, p_subject, p_payload::jsonb, head.hash, digest);
    UPDATE trading_audithead SET sequence = head.sequence + 1, hash = digest WHERE id = 1;
    RETURN head.sequence + 1;
END $$;
"""
ALLOW = """
DROP FUNCTION gridconsole_audit_append;
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
