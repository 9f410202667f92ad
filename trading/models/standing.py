"""Where a grid stands by its rows: what people and governance see of it, and what an edit is held against."""

from django.db.models import Sum

from trading.domain.admitting import Running
from trading.domain.orders import Side
from trading.domain.places import from_json
from trading.models.accounts import Grid
from trading.models.orders import Fill


def running(grid: Grid) -> Running:
    """Return a grid as it stands: its choice, its ladder, what its slots hold by the fills of this lap."""
    rows = Fill.objects.filter(account=grid.account, symbol=grid.symbol, lap=grid.levels_lap, slot__isnull=False)
    held: dict[int, int] = {}
    for slot, side, lots in rows.values_list("slot", "side").annotate(lots=Sum("quantity_lots")).order_by():
        held[slot] = held.get(slot, 0) + (lots if side == Side.BUY else -lots)
    footing = from_json(grid.footing) if grid.footing else None
    held = {slot: lots for slot, lots in held.items() if lots > 0}
    return Running(grid.chosen, tuple(grid.levels_ticks), footing, held)
