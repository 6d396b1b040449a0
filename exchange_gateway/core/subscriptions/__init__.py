"""Subscriptions: what a subscriber asks for, how far it has read, and which events are for it. Pure."""

from exchange_gateway.core.subscriptions.book import Moved, Reading, SubscriptionBook
from exchange_gateway.core.subscriptions.cursors import BadCursor, Cursor, CursorSigner
from exchange_gateway.core.subscriptions.matching import Filter, is_of, owner_of, owner_prefix
from exchange_gateway.core.subscriptions.model import EARLIEST, LATEST, Subscription, short_name, wanted_topics

__all__ = [
    "EARLIEST",
    "LATEST",
    "BadCursor",
    "Cursor",
    "CursorSigner",
    "Filter",
    "Moved",
    "Reading",
    "Subscription",
    "SubscriptionBook",
    "is_of",
    "owner_of",
    "owner_prefix",
    "short_name",
    "wanted_topics",
]
