"""Every table of governance in Django's admin; decisions are only shown."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from riskops.models import ResumeRequest

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
else:
    ModelAdmin = admin.ModelAdmin  # generic in the type stubs only


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
