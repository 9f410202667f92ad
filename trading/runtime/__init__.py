"""The loops: they carry events to the core and its effects to the world, and decide nothing."""
