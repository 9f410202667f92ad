"""Operation: runs the books under a mandate."""
