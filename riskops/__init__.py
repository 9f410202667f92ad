"""Governance: decides which mandate is in force and can prove why."""
