"""Where nets are trained: the only room that imports torch."""
