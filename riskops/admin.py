"""Every table of governance in Django's admin; decisions are only shown, people and roles are audited."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from riskops.models import ResumeRequest
from trading.admin import AuditedAdmin, record

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
    DjangoUserAdmin = UserAdmin[User]
else:
    ModelAdmin, DjangoUserAdmin = admin.ModelAdmin, UserAdmin  # generic in the type stubs only


@admin.register(ResumeRequest)
class ResumeRequestAdmin(ModelAdmin):
    """Asking and granting go through the page, where two people are held apart."""

    list_display = ("account", "requested_by", "reason", "requested_at", "outcome", "decided_by", "decided_at")
    list_filter = ("account", "outcome")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


admin.site.unregister([User, Group])


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
