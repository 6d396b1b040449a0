"""`connect new`: a connector file from a source itself, by looking at it and asking."""
