"""Every table of governance in Django's admin; decisions are only shown, people and roles are audited."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.models import (
    ArmRequest,
    BreakGlass,
    ChecklistAttachment,
    ChecklistTick,
    ComplianceItem,
    ComplianceTick,
    CostEntry,
    Delivery,
    DeskReview,
    FailedSignIns,
    Incident,
    IncidentStep,
    Invitation,
    KnownAddress,
    Notice,
    NotificationRoute,
    PhaseRun,
    PhaseTemplate,
    PromotionRequest,
    PromotionSignature,
    ReleaseTag,
    Report,
    ResumeRequest,
    SignOff,
    StepRequest,
    Tries,
)
from trading.admin import AuditedAdmin, record
from trading.services import sessions

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
    DjangoUserAdmin = UserAdmin[User]
else:
    ModelAdmin, DjangoUserAdmin = admin.ModelAdmin, UserAdmin  # generic in the type stubs only


class ShownOnly(ModelAdmin):
    """Decisions are made on pages that hold people apart; here they are only shown."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


@admin.register(ResumeRequest)
class ResumeRequestAdmin(ShownOnly):
    """Who asked to resume, and who granted it."""

    list_display = ("account", "requested_by", "reason", "requested_at", "outcome", "decided_by", "decided_at")
    list_filter = ("account", "outcome")


@admin.register(ArmRequest)
class ArmRequestAdmin(ShownOnly):
    """Who asked to leave PAPER, and who approved it."""

    list_display = ("account", "mode", "phase", "requested_by", "requested_at", "state", "decided_by", "decided_at")
    list_filter = ("account", "mode", "state")


@admin.register(PhaseTemplate)
class PhaseTemplateAdmin(ShownOnly):
    """The phases as they were read."""

    list_display = ("phase", "version", "digest", "loaded_at")


@admin.register(PhaseRun)
class PhaseRunAdmin(ShownOnly):
    """Who was under which phase, and how it ended."""

    list_display = ("account", "template", "started_at", "outcome", "decision", "ended_at", "accelerated")
    list_filter = ("account", "decision")


@admin.register(StepRequest)
class StepRequestAdmin(ShownOnly):
    """Who asked for a step, on what, and what was decided."""

    list_display = ("run", "requested_by", "requested_at", "state", "decision", "decided_by", "decided_at")
    list_filter = ("state", "decision")


@admin.register(SignOff)
class SignOffAdmin(ShownOnly):
    """Every signature."""

    list_display = ("request", "role", "person", "approves", "signed_at", "digest")


@admin.register(PromotionRequest)
class PromotionRequestAdmin(ShownOnly):
    """Every promotion that was asked for, with its decision."""

    list_display = ("version", "before", "after", "requested_by", "requested_at", "state", "decision", "decided_by")


@admin.register(PromotionSignature)
class PromotionSignatureAdmin(ShownOnly):
    """Every signature under a promotion."""

    list_display = ("request", "role", "person", "approves", "signed_at", "digest")


@admin.register(Incident)
class IncidentAdmin(ShownOnly):
    """Every incident with its review."""

    list_display = ("id", "account", "playbook", "what", "opened_at", "closed_at", "closed_by")
    list_filter = ("account", "playbook")


@admin.register(IncidentStep)
class IncidentStepAdmin(ShownOnly):
    """Everything that was done and written in an incident."""

    list_display = ("incident", "step", "kind", "note", "by", "at")


@admin.register(DeskReview)
class DeskReviewAdmin(ShownOnly):
    """Who reviewed a desk, and when."""

    list_display = ("account", "by", "note", "at")


@admin.register(ChecklistTick)
class ChecklistTickAdmin(ShownOnly):
    """Every tick, and every tick taken back."""

    list_display = ("request", "item", "done", "person", "at")


@admin.register(Report)
class ReportAdmin(ShownOnly):
    """Every report as it was stored."""

    list_display = ("account", "kind", "period", "made_at", "digest")
    list_filter = ("account", "kind")


@admin.register(ComplianceItem)
class ComplianceItemAdmin(ShownOnly):
    """What has to be seen to by a date."""

    list_display = ("account", "title", "due_on", "opened_by")


@admin.register(ComplianceTick)
class ComplianceTickAdmin(ShownOnly):
    """Who said that an item is done, or took that back."""

    list_display = ("item", "done", "person", "note", "at")


@admin.register(CostEntry)
class CostEntryAdmin(ShownOnly):
    """Every bill that was entered."""

    list_display = ("account", "billed_on", "what", "amount", "currency", "entered_by")


@admin.register(Tries)
class TriesAdmin(ShownOnly):
    """How often a sign-in failed in a row, by the hash of where."""

    list_display = ("door", "failures", "last_at")


@admin.register(FailedSignIns)
class FailedSignInsAdmin(ShownOnly):
    """The failures of this minute; the audit trail tells of those before."""

    list_display = ("minute", "times", "unknown", "accounts", "addresses")


@admin.register(KnownAddress)
class KnownAddressAdmin(ShownOnly):
    """From where people have signed in."""

    list_display = ("person", "address", "last_at")


@admin.register(Invitation)
class InvitationAdmin(ShownOnly):
    """Who was invited, by whom, and whether it was used."""

    list_display = ("person", "made_by", "made_at", "expires_at", "used_at")


@admin.register(Notice)
class NoticeAdmin(ShownOnly):
    """What people are told on their next page."""

    list_display = ("person", "text", "at", "told_at")


@admin.register(ChecklistAttachment)
class ChecklistAttachmentAdmin(ShownOnly):
    """What was attached to ticks; the file itself is given by the checklist."""

    list_display = ("tick", "name", "kind", "size", "sha256")
    exclude = ("content",)


@admin.register(ReleaseTag)
class ReleaseTagAdmin(ShownOnly):
    """The tags of phases that succeeded."""

    list_display = ("name", "state", "commit", "attempts", "why", "recorded_at")
    list_filter = ("state",)


@admin.register(BreakGlass)
class BreakGlassAdmin(ShownOnly):
    """The times the glass was broken."""

    list_display = ("account", "reason", "asked_by", "asked_at", "granted_by", "granted_at", "expires_at", "ended_by")
    list_filter = ("account",)


APPENDAGES = {"session", *(str(model._meta.verbose_name) for model in (Invitation, KnownAddress, Notice))}
OWN_RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister([User, Group, TOTPDevice])


@admin.register(TOTPDevice)
class AuthenticatorAdmin(AuditedAdmin, ModelAdmin):
    """Whose authenticator is in use. Nobody sees a key; a lost one is removed on the page Settings, with a proof."""

    list_display = ("user", "name", "confirmed", "created_at", "last_used_at")
    fields = readonly_fields = ("user", "name", "confirmed", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: a person makes the own key."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse; so a person who has one cannot be deleted either."""
        return False


@admin.register(NotificationRoute)
class NotificationRouteAdmin(ShownOnly):
    """Routes are added, tested and removed on the Alerts page; nobody sees an address."""

    list_display = ("name", "channel", "shown", "minimum", "created_by", "created_at", "removed_at")
    exclude = ("address",)


@admin.register(Delivery)
class DeliveryAdmin(ShownOnly):
    """The outbox."""

    list_display = ("title", "route", "step", "state", "attempts", "due_at", "sent_at", "error")
    list_filter = ("state", "route")


@admin.register(User)
class PersonAdmin(AuditedAdmin, DjangoUserAdmin):
    """Who may sign in, and in which roles; nobody changes their own. Whoever is changed signs in anew."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let go with a person what is only about them: sessions, known addresses, notices, invitations."""
        shown, counts, refused, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(refused) - APPENDAGES, protected

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Show, not offer, what a person may not give or take themselves."""
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, *OWN_RIGHTS) if obj is not None and obj.pk == request.user.pk else fixed

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the roles; when a right changed, end what the person began under the old ones."""
        super().save_related(request, form, formsets, change)
        if change and set(form.changed_data) & set(OWN_RIGHTS):
            self._end_sessions(request, form.instance, "other rights")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set another person's password and record it, or neither."""
        with transaction.atomic():
            answer = super().user_change_password(request, id, form_url)
            if request.method == "POST" and answer.status_code == 302:
                self._end_sessions(request, User.objects.get(pk=id), "another password")
            return answer

    def _end_sessions(self, request: HttpRequest, person: User, why: str) -> None:
        keep = request.session.session_key if person.pk == request.user.pk else None
        sessions.end(person=person, by=request.user.get_username(), why=why, at=now(), keep=keep)


@admin.register(Group)
class RoleAdmin(AuditedAdmin, GroupAdmin):
    """The roles of the desk are groups; who grants a resume is decided by them."""


def change_own_password(request: HttpRequest) -> HttpResponseBase:
    """Show Django's page; record that it changed the password, in the same transaction."""
    with transaction.atomic():
        answer = admin.site.password_change(request)
        if request.method == "POST" and answer.status_code == 302:
            person = User.objects.get(username=request.user.get_username())
            keep = request.session.session_key
            sessions.end(person=person, by=person.username, why="another password", at=now(), keep=keep)
            record(request, "user.changed", f"user:{person.username}", {"id": person.pk, "what": "password"})
    return answer
