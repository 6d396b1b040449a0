"""What stands around an event's data.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class Published(TypedDict):
    """What every event has that is published."""

    specversion: Literal["1.0"]
    id: str
    """Unique within `source`, at most 128 characters."""
    source: str
    """urn:kommunebro:<participant>:<system>"""
    subject: str
    """The thing's id, as in `data`."""
    time: str
    """When it happened in the publisher's system (RFC 3339)."""
    datacontenttype: NotRequired[Literal["application/json"]]
    traceparent: NotRequired[str]


class Forwarded(TypedDict):
    """What every event has that an alliance shares."""

    specversion: Literal["1.0"]
    id: str
    source: str
    subject: str
    time: str
    datacontenttype: NotRequired[Literal["application/json"]]
    traceparent: NotRequired[str]
    recordedtime: NotRequired[str]
    owner: str
    """The participant whose thing it is."""
    alliance: str
    """Through which alliance it came."""
    agreementversion: int
    forwardedtime: str
    causedby: NotRequired[str]
    """The event from which the forwarder made this one, where it made it itself."""
