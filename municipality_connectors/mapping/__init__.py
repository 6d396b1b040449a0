"""From rows to events: what columns mean, the rules of a connector file, what is new. Pure."""
