"""HTTP, thin: parse, one call, answer."""
