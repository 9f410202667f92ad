"""Which row is locked first: the account, then anything that belongs to it, the head of the audit trail last.

An execution loop holds its account's row while it stores a turn, and the head of the trail before it comes to grids,
alerts and transfers. Whoever locked one of those without the account could wait for the head while the loop waits for
them: the database would end one of the two, and it might be the turn.

Governance measures a run before it acts on its account, and no loop may wait for that: its runs, their requests and
incidents come before the account, and rows that point to a run can be added while it is locked.
"""

from trading.models import Account


def lock_account(account_id: int, *, whole: bool = False) -> Account:
    """Return the account, locked until the caller's transaction ends.

    Rows that point to it can be added meanwhile, unless it is locked as a `whole`: for who may halt it further on.
    """
    return Account.objects.select_for_update(no_key=not whole).get(pk=account_id)
