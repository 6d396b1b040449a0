"""What a connector keeps on its own disk: what it knows of each thing, and what waits to be sent."""
