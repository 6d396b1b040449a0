"""A connector's run: read, map, see what is new, keep it, send it."""
