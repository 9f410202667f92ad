"""Who belongs to which account."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models

from trading.models.accounts import Account


class Membership(models.Model):
    """One person, or everybody of one group, sees an account and may touch it as far as their roles reach."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+")
    group = models.ForeignKey(Group, models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["account", "id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "person"], name="one_membership_per_person"),
            models.UniqueConstraint(fields=["account", "group"], name="one_membership_per_group"),
            models.CheckConstraint(
                condition=models.Q(person=None, group__isnull=False) | models.Q(person__isnull=False, group=None),
                name="a_membership_is_of_a_person_or_a_group",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person or self.group} at {self.account}"
