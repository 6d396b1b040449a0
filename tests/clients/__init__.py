"""Clients in other languages, made from `/openapi.json`, run against a gateway."""
