"""The log, and the two ways to keep it: one SQLite file, or Apache Kafka."""
