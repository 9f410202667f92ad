"""One turn of an execution loop is one call: the order path waits for a single round trip to the database."""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE FUNCTION gridconsole_store_turn(
    p_account bigint, p_fence bigint, p_needs_active boolean, p_orders jsonb, p_fills jsonb,
    p_at timestamptz, p_at_us bigint, p_actor text, p_action text, p_subject text, p_payload text,
    OUT stored boolean, OUT state text, OUT fence bigint
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT a.state, a.fence INTO state, fence FROM trading_account a WHERE a.id = p_account FOR NO KEY UPDATE;
    stored := fence = p_fence AND (state = 'ACTIVE' OR NOT p_needs_active);
    IF stored IS NOT TRUE THEN
        stored := false;
        RETURN;
    END IF;
    INSERT INTO trading_order (
        account_id, client_order_id, venue_order_id, symbol, side, type, purpose, slot, price, quantity, filled,
        price_ticks, quantity_lots, filled_lots, reference_ticks, status, reason, lap,
        decided_at, decided_at_ns, updated_at)
    SELECT p_account, o.client_order_id, o.venue_order_id, o.symbol, o.side, o.type, o.purpose, o.slot, o.price,
        o.quantity, o.filled, o.price_ticks, o.quantity_lots, o.filled_lots, o.reference_ticks, o.status, o.reason,
        o.lap, o.decided_at, o.decided_at_ns, o.updated_at
    FROM jsonb_populate_recordset(NULL::trading_order, p_orders) o
    ON CONFLICT (client_order_id) DO UPDATE SET
        venue_order_id = EXCLUDED.venue_order_id, filled = EXCLUDED.filled, filled_lots = EXCLUDED.filled_lots,
        status = EXCLUDED.status, reason = EXCLUDED.reason, updated_at = EXCLUDED.updated_at;
    IF p_fills <> '[]' THEN
        INSERT INTO trading_fill (
            account_id, order_id, trade_id, symbol, side, slot, price, quantity, price_ticks, quantity_lots,
            fee, fee_asset, maker, realized_quote, grid_profit_quote, lap, at, at_ns)
        SELECT p_account, (SELECT id FROM trading_order WHERE client_order_id = raw ->> 'client_order_id'),
            f.trade_id, f.symbol, f.side, f.slot, f.price, f.quantity, f.price_ticks, f.quantity_lots,
            f.fee, f.fee_asset, f.maker, f.realized_quote, f.grid_profit_quote, f.lap, f.at, f.at_ns
        FROM jsonb_array_elements(p_fills) raw, jsonb_populate_record(NULL::trading_fill, raw) f;
    END IF;
    IF p_payload <> '' THEN
        PERFORM gridconsole_audit_append(p_at, p_at_us, p_actor, p_action, p_subject, p_payload);
    END IF;
END $$;
"""


# Every index costs each commit: these served no query. Ids are looked up whole, never by their beginning.
DROP_LIKE = """
DO $$
DECLARE found regclass;
BEGIN
    FOR found IN SELECT indexrelid::regclass FROM pg_index
        WHERE indrelid = 'trading_order'::regclass AND indexrelid::regclass::text LIKE '%client_order_id%like'
    LOOP EXECUTE format('DROP INDEX %s', found); END LOOP;
END $$;
"""


def account(related_name):
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to="trading.account", db_index=False
    )


class Migration(migrations.Migration):
    dependencies = [("trading", "0003_alert_times")]
    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION gridconsole_store_turn"),
        migrations.RunSQL(DROP_LIKE, migrations.RunSQL.noop),
        migrations.AlterField("auditevent", "hash", models.CharField(max_length=64)),
        migrations.AlterField("order", "account", account("orders")),
        migrations.AlterField("fill", "account", account("fills")),
    ]
