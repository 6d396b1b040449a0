"""The connector file: a municipality's description of its system, in TOML, checked before anything is read."""
