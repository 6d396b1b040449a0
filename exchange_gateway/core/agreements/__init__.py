"""Agreements: what they say, which versions there are, and who may change them. Pure."""

from exchange_gateway.core.agreements.book import AgreementBook, InForce
from exchange_gateway.core.agreements.fields import (
    STATUS_PROPERTIES,
    KnownFields,
    always_leaves,
    default_fields,
    known_fields,
    pointers,
)
from exchange_gateway.core.agreements.model import (
    Agreement,
    AgreementError,
    AgreementVersion,
    InvalidAgreement,
    Kind,
    Member,
    NotSupportedYet,
    UnreadableAgreement,
)
from exchange_gateway.core.agreements.parsing import parse_agreement
from exchange_gateway.core.agreements.proposals import Accepted, Refused, Unchanged, propose, same_agreement, takes_away

__all__ = [
    "STATUS_PROPERTIES",
    "Accepted",
    "Agreement",
    "AgreementBook",
    "AgreementError",
    "AgreementVersion",
    "InForce",
    "InvalidAgreement",
    "Kind",
    "KnownFields",
    "Member",
    "NotSupportedYet",
    "Refused",
    "Unchanged",
    "UnreadableAgreement",
    "always_leaves",
    "default_fields",
    "known_fields",
    "parse_agreement",
    "pointers",
    "propose",
    "same_agreement",
    "takes_away",
]
