"""Out again: what alliances share, put where a municipality's own systems are."""
