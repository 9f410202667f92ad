"""Wiring: joins governance and operation to the world (settings, web, workers, supervisor)."""
