"""What the client decides, free of any network, clock and chance: both drivers run the same."""
