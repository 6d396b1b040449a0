"""From the `[source]` of a connector file to the source that it opens: a module for each kind."""
