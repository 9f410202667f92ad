"""Doors to the outside world: one outside library per module, named <port>_<technology>."""
