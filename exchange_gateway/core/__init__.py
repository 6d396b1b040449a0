"""Decisions, pure: no clock, randomness, network, database or asyncio."""
