"""Governance's pure rules."""
