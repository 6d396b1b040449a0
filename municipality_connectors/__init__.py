"""From a municipality's own system to events. Speaks HTTP to a gateway."""
