"""Read from a topic, decide by a pure function, append or deliver."""
