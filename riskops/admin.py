"""Every table of governance in Django's admin; decisions are only shown, people and roles are audited."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.models import (
    BreakGlass,
    ChecklistAttachment,
    ChecklistTick,
    Incident,
    PhaseRun,
    PhaseTemplate,
    ReleaseTag,
    ResumeRequest,
    SignOff,
    StepRequest,
)
from trading.admin import AuditedAdmin, record

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


@admin.register(Incident)
class IncidentAdmin(ShownOnly):
    """Every incident with its review."""

    list_display = ("id", "account", "what", "opened_at", "closed_at", "closed_by")
    list_filter = ("account",)


@admin.register(ChecklistTick)
class ChecklistTickAdmin(ShownOnly):
    """Every tick, and every tick taken back."""

    list_display = ("request", "item", "done", "person", "at")


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


admin.site.unregister([User, Group, TOTPDevice])


@admin.register(TOTPDevice)
class AuthenticatorAdmin(AuditedAdmin, ModelAdmin):
    """Whose authenticator is in use; a lost one is removed here. Nobody sees a key."""

    list_display = ("user", "name", "confirmed", "created_at", "last_used_at")
    fields = readonly_fields = ("user", "name", "confirmed", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: a person makes the own key."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


@admin.register(User)
class PersonAdmin(AuditedAdmin, DjangoUserAdmin):
    """Who may sign in, and in which roles."""

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set another person's password and record it, or neither."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)


@admin.register(Group)
class RoleAdmin(AuditedAdmin, GroupAdmin):
    """The roles of the desk are groups; who grants a resume is decided by them."""


def change_own_password(request: HttpRequest) -> HttpResponseBase:
    """Show Django's page; record that it changed the password, in the same transaction."""
    with transaction.atomic():
        answer = admin.site.password_change(request)
        if request.method == "POST" and answer.status_code == 302:
            name = request.user.get_username()
            record(request, "user.changed", f"user:{name}", {"id": request.user.pk, "what": "password"})
    return answer
