"""The gateway: the one door in, the forwarder, and the doors out."""
