"""Governance's changes: one transaction each, audited in it."""
