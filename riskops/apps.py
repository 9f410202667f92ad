"""Governance as a Django app."""

from django.apps import AppConfig


class RiskopsConfig(AppConfig):
    name = "riskops"
    verbose_name = "Risk operations"
