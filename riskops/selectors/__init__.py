"""Governance's reads, in the shape of the pages."""
