"""The log in one SQLite file: nothing to install, nothing to run beside the gateway."""

from broker_adapters.embedded.log import EmbeddedLog

__all__ = ["EmbeddedLog"]
