"""The shared dataset: schemas, the `Event`, identifiers and code lists. Imports nothing else of ours."""
