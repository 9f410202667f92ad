"""Every table of operation in Django's admin; what the journal or the audit chain wrote is only shown."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.timezone import now

from trading.models import (
    Account,
    Alert,
    Arming,
    AuditEvent,
    AuditVerification,
    Backtest,
    CapitalTransfer,
    CashFlow,
    ConductOverride,
    ConductSample,
    EquitySample,
    Fill,
    FillMark,
    ForeignOrderDecision,
    Grid,
    GridCandidate,
    GridInForce,
    Halt,
    HaltDrill,
    HourFacts,
    KeyCheck,
    LatencySample,
    Mandate,
    MarketImport,
    MarketPart,
    Membership,
    ModelChange,
    ModelForecast,
    ModelHealth,
    ModelReplay,
    ModelVersion,
    Order,
    PaperComparison,
    Reconciliation,
    RuleReading,
    Session,
    Settlement,
    TradingDay,
    TrainingRun,
    VenueInstrument,
    VenueKey,
    VenueReading,
)
from trading.services import audit

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
else:
    ModelAdmin = admin.ModelAdmin  # generic in the type stubs only


SUBJECT_LENGTH = AuditEvent._meta.get_field("subject").max_length


class ReadOnlyAdmin(ModelAdmin):
    """Shows rows; adding, changing and deleting are refused, also in bulk and to superusers."""

    show_full_result_count = False  # counting millions of rows is not worth a page
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse; the bulk action disappears with it."""
        return False


class AuditedAdmin(ModelAdmin):
    """Seals what a person adds, changes or deletes here into the audit trail, in the transaction of the change."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Keep each changed field as it was and as it is, for the row that `log_change` writes."""
        if not add and hasattr(form, "instance"):  # the form of a password has none
            names = [name for name in form.changed_data if "password" not in name]
            before = {name: _plain(form.initial.get(name)) for name in names}
            form.instance.audited = {"before": before, "after": {n: _plain(form.cleaned_data.get(n)) for n in names}}
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record what was added."""
        return self._record(request, "added", obj, super().log_addition(request, obj, message))

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record which fields were changed."""
        return self._record(request, "changed", obj, super().log_change(request, obj, message))

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record every row that is about to be deleted."""
        for row in queryset:
            self._record(request, "deleted", row)
        return super().log_deletions(request, queryset)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Delete many rows and record it, or neither."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            self._check_key(key)
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def _check_key(self, key: str) -> None:
        """Refuse what is no key; Django would fail on it."""
        try:
            self.opts.pk.to_python(key)
        except ValidationError as error:
            raise BadRequest(f"{key!r} is no row.") from error

    def _record(self, request: HttpRequest, deed: str, row: Model, entry: Any = None) -> Any:
        table = str(row._meta.model_name)
        what = {"id": row.pk, "what": entry.change_message if entry else "", **getattr(row, "audited", {})}
        record(request, f"{table}.{deed}", f"{table}:{row}", what)
        return entry


def _plain(value: object) -> object:
    """Return a field's value as the trail keeps it; of other rows their names."""
    if isinstance(value, QuerySet | list | tuple):
        return sorted(str(part) for part in value)
    return value if isinstance(value, bool | int | None) else str(value)


def record(request: HttpRequest, action: str, subject: str, payload: dict[str, object]) -> None:
    """Seal one deed of the signed-in person; call it inside the transaction of the deed."""
    assert isinstance(request.user, User)  # nobody else is let in
    audit.record(
        actor=request.user.username, action=action, subject=subject[:SUBJECT_LENGTH], payload=payload, at=now()
    )


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "at", "actor", "action", "subject")
    list_filter = ("action",)
    search_fields = ("actor", "subject", "hash")


@admin.register(AuditVerification)
class AuditVerificationAdmin(ReadOnlyAdmin):
    list_display = ("at", "sequence", "reason", "anchors", "anchored")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Who is signed in; the key, with which one could be them, is shown nowhere, so no row has a page of its own."""

    fields = list_display = ("label", "person", "began_at", "seen_at", "expire_date", "address", "browser")
    list_display_links = None
    list_select_related = ("person",)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse the page of one row: its address would be the key."""
        return obj is None and super().has_view_permission(request, obj)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = (
        "client_order_id",
        "account",
        "symbol",
        "side",
        "type",
        "price",
        "quantity",
        "filled",
        "status",
        "decided_at",
    )
    list_filter = ("account", "status", "symbol", "side", "type")
    search_fields = ("client_order_id", "venue_order_id", "reason")


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    list_display = ("trade_id", "account", "symbol", "side", "price", "quantity", "fee", "realized_quote", "at")
    list_filter = ("account", "symbol", "side", "maker")
    search_fields = ("order__client_order_id",)
    list_select_related = ("account",)


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyAdmin):
    list_display = ("account", "symbol", "quantity_base", "price", "lap", "at")
    list_filter = ("account", "symbol")


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("account", "is_clean", "local_open", "venue_open", "at")
    list_filter = ("account", "is_clean")


@admin.register(VenueReading)
class VenueReadingAdmin(ReadOnlyAdmin):
    list_display = ("account", "is_clean", "local_open", "venue_open", "at")


@admin.register(ForeignOrderDecision)
class ForeignOrderDecisionAdmin(ReadOnlyAdmin):
    """Deciding goes through the page, where it is audited."""

    list_display = ("client_order_id", "account", "symbol", "choice", "decided_by", "decided_at", "outcome", "detail")
    list_filter = ("account", "choice", "outcome")
    search_fields = ("client_order_id",)


@admin.register(Halt)
class HaltAdmin(ReadOnlyAdmin):
    list_display = (
        "account",
        "symbol",
        "requested_by",
        "reason",
        "stage",
        "orders_at_latch",
        "canceled",
        "latched_at",
        "released_at",
    )
    list_filter = ("account", "symbol", "stage", "flatten")


@admin.register(HaltDrill)
class HaltDrillAdmin(ReadOnlyAdmin):
    list_display = ("account", "drill", "asked_by", "asked_at", "halt")
    list_filter = ("account", "drill")


@admin.register(TradingDay)
class TradingDayAdmin(ReadOnlyAdmin):
    list_display = ("account", "lap", "reason", "opening_equity_quote", "opened_at")
    list_filter = ("account", "reason")


@admin.register(CapitalTransfer)
class CapitalTransferAdmin(ReadOnlyAdmin):
    list_display = ("flow_id", "account", "amount_quote", "is_void", "asked_by", "asked_at")
    list_filter = ("account",)


@admin.register(CashFlow)
class CashFlowAdmin(ReadOnlyAdmin):
    list_display = ("transfer", "account", "amount_quote", "equity_before_quote", "paid_in_quote", "booked_at")
    list_filter = ("account",)


@admin.register(EquitySample)
class EquitySampleAdmin(ReadOnlyAdmin):
    list_display = ("account", "equity_quote", "pnl_day_quote", "drawdown_fraction", "lap", "at")
    list_filter = ("account",)


@admin.register(LatencySample)
class LatencySampleAdmin(ReadOnlyAdmin):
    list_display = ("account", "segment", "samples", "at")
    list_filter = ("account", "segment")


@admin.register(ConductOverride)
class ConductOverrideAdmin(ReadOnlyAdmin):
    """What playbooks took from an account, and who undid it."""

    list_display = ("account", "act", "factor", "limit", "by", "incident", "applied_at", "undone_at", "undone_by")


@admin.register(ConductSample)
class ConductSampleAdmin(ReadOnlyAdmin):
    list_display = ("account", "at")
    list_filter = ("account",)


@admin.register(FillMark)
class FillMarkAdmin(ReadOnlyAdmin):
    """What the price did after a fill."""

    list_display = ("fill", "mark", "later", "measured_at")
    list_select_related = ("fill",)


@admin.register(PaperComparison)
class PaperComparisonAdmin(ReadOnlyAdmin):
    """What paper and backtest did over the same stretch."""

    list_display = ("account", "since", "until", "is_over", "paper_pnl_quote", "backtest_pnl_quote", "compared_at")
    list_filter = ("account",)


@admin.register(GridCandidate)
class GridCandidateAdmin(ReadOnlyAdmin):
    """Adopted on the page of a search, withdrawn on Symbols & grids."""

    list_display = ("account", "symbol", "search", "trial", "proposed_by", "proposed_at", "taken_up_at", "dropped_at")
    list_filter = ("account",)


@admin.register(GridInForce)
class GridInForceAdmin(ReadOnlyAdmin):
    """Which grids the desks ran, and since when."""

    list_display = ("account", "symbol", "cause", "since", "edited_at")
    list_filter = ("account", "cause")


@admin.register(HourFacts)
class HourFactsAdmin(ReadOnlyAdmin):
    list_display = ("account", "hour", "unended")
    list_filter = ("account",)


@admin.register(RuleReading)
class RuleReadingAdmin(ReadOnlyAdmin):
    list_display = ("account", "code", "is_broken", "text", "judged_at", "known_at")
    list_filter = ("account", "code")


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    """Asked for, cancelled and read on the page Models."""

    list_display = ("asked_at", "asked_by", "stage", "state", "progress", "trials")
    list_filter = ("state", "stage", "asked_by")
    date_hierarchy = "asked_at"


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """Registered by a training, promoted by signatures; its files are in the store of artefacts."""

    list_display = ("registered_at", "name", "stage", "state", "digest", "registered_by")
    list_filter = ("state", "stage")
    search_fields = ("name", "digest")
    date_hierarchy = "registered_at"


@admin.register(ModelChange)
class ModelChangeAdmin(ReadOnlyAdmin):
    """Written with each promotion and rollback."""

    list_display = ("at", "version", "before", "after", "by", "why")
    list_filter = ("after", "by")
    date_hierarchy = "at"


@admin.register(ModelForecast)
class ModelForecastAdmin(ReadOnlyAdmin):
    """Kept by the model loop after every bar."""

    list_display = ("at", "version", "symbol", "log_rv", "rule_log_rv", "realized", "fault", "took_us")
    list_filter = ("symbol", "fault")
    date_hierarchy = "at"


@admin.register(ModelHealth)
class ModelHealthAdmin(ReadOnlyAdmin):
    """The newest reading of each model that runs."""

    list_display = ("version", "symbol", "fault", "since", "bars", "fallbacks", "psi", "loss_drift")
    list_filter = ("symbol", "fault")


@admin.register(ModelReplay)
class ModelReplayAdmin(ReadOnlyAdmin):
    """What models read live, held against a replay."""

    list_display = ("at", "version", "since", "until", "compared", "equal")
    date_hierarchy = "at"


@admin.register(Backtest)
class BacktestAdmin(ReadOnlyAdmin):
    """Asked for, cancelled and read on the page Backtest lab."""

    list_display = ("id", "state", "asked_by", "asked_at", "began_at", "ended_at", "why")
    list_filter = ("state", "asked_by")
    exclude = ("curves",)  # thousands of points


@admin.register(Mandate)
class MandateAdmin(ReadOnlyAdmin):
    """A mandate is replaced by the next version, never edited."""

    list_display = ("account", "version", "phase", "capital_quote", "put_into_force_at", "put_into_force_by")
    list_filter = ("account", "phase")


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """State and fence move only through services; an edit here would bypass the latch."""

    list_display = ("name", "slug", "venue", "mode", "state", "fence", "created_at")


@admin.register(Grid)
class GridAdmin(ReadOnlyAdmin):
    """Pausing goes through the page, where it is audited."""

    list_display = ("account", "symbol", "style", "step_fraction", "slots", "lot_quote", "enabled", "paused_reason")
    list_filter = ("account", "style", "enabled")


@admin.register(VenueInstrument)
class VenueInstrumentAdmin(AuditedAdmin):
    """The venue's filters as they were read by hand; orders are rounded by them."""

    list_display = ("symbol", "venue", "tick_size", "lot_size", "min_notional", "trading", "as_of", "source")
    list_filter = ("venue", "trading")
    search_fields = ("symbol",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Acknowledging goes through the page, where it is audited."""

    list_display = ("severity", "code", "message", "account", "symbol", "at", "acknowledged_at", "acknowledged_by")
    list_filter = ("severity", "account", "code")
    search_fields = ("message", "code")


@admin.register(Arming)
class ArmingAdmin(ReadOnlyAdmin):
    """Two people arm an account on the page Going live."""

    list_display = ("account", "is_armed", "build", "phase", "by", "why", "at")
    list_filter = ("account", "is_armed")


@admin.register(VenueKey)
class VenueKeyAdmin(ReadOnlyAdmin):
    """Added and revoked under Settings, Venue keys; nothing of a key is shown but its last four characters."""

    list_display = ("account", "purpose", "label", "last_four", "added_by", "added_at", "revoked_by", "revoked_at")
    list_filter = ("account", "purpose")
    exclude = ("sealed_key", "sealed_secret", "fingerprint")


@admin.register(KeyCheck)
class KeyCheckAdmin(ReadOnlyAdmin):
    """What the venue last said of a key."""

    list_display = ("key", "at", "opened", "objections", "problem", "skew_ms")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Given and taken on the page Going live, where it is audited."""

    list_display = ("account", "person", "group")
    list_filter = ("account",)


@admin.register(MarketImport)
class MarketImportAdmin(ReadOnlyAdmin):
    """Imported by `./console data import`, where it is audited."""

    list_display = ("file_name", "kind", "venue", "symbol", "rows", "hole_count", "by", "at")
    list_filter = ("kind", "venue", "symbol")


@admin.register(MarketPart)
class MarketPartAdmin(ReadOnlyAdmin):
    """The files of the market store, as they were written."""

    list_display = ("path", "source", "rows", "size", "hole_count", "lost", "stored_at", "checked_at", "problem")
    list_filter = ("source", "kind", "venue", "symbol")
    exclude = ("holes",)
