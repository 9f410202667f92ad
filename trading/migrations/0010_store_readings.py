"""What a reading of the venue found is stored by the call that stores its turn: the loop waits for one round trip."""

from importlib import import_module

from django.db import migrations

OLD = """p_action text, p_subject text, p_payload text,"""
NEW = """p_action text, p_subject text, p_payload text, p_readings jsonb,"""
SYMBOLS = import_module("trading.migrations.0006_halt_scopes")
CREATED = import_module("trading.migrations.0004_store_turn").CREATE.replace(SYMBOLS.OLD, SYMBOLS.NEW)

# A clean reading that finds what the clean one before it found renews its row; every other one is a row of its own.
STORE = """
    FOR reading IN SELECT * FROM jsonb_populate_recordset(NULL::trading_reconciliation, p_readings) LOOP
        UPDATE trading_reconciliation r SET local_open = reading.local_open, venue_open = reading.venue_open,
            at = reading.at
        WHERE r.id = (SELECT max(x.id) FROM trading_reconciliation x WHERE x.account_id = p_account)
            AND r.is_clean AND reading.is_clean AND r.discrepancies = reading.discrepancies;
        IF NOT FOUND THEN
            INSERT INTO trading_reconciliation (account_id, is_clean, discrepancies, local_open, venue_open, at)
            VALUES (p_account, reading.is_clean, reading.discrepancies, reading.local_open, reading.venue_open,
                reading.at);
        END IF;
    END LOOP;
END $$;
"""
CREATE = (
    CREATED.replace(OLD, NEW)
    .replace("AS $$\nBEGIN", "AS $$\nDECLARE reading trading_reconciliation;\nBEGIN")
    .replace("END $$;\n", STORE)
)
DROP = "DROP FUNCTION gridconsole_store_turn;"


class Migration(migrations.Migration):
    dependencies = [("trading", "0009_two_people_are_one_actor")]
    operations = [migrations.RunSQL(DROP + CREATE, DROP + CREATED)]
