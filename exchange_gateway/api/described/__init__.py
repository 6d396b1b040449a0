"""The API described for programs: `/openapi.json` for HTTP, `/asyncapi.json` for streams and the native door."""

from exchange_gateway.api.described.openapi import describe

__all__ = ["describe"]
