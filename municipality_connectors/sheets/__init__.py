"""Our own sheets: written for people to fill in."""
