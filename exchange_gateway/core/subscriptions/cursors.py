"""A cursor: how far a subscriber has come in each of its topics, as opaque text that only we can write. Pure.

It is signed with the instance's own key, so that whatever comes back was given here, to this subscription; every
gateway of an instance has the key. It counts for one `epoch`: a subscription that was rewound begins another, so
that a client which still works on what it fetched before cannot take the rewinding back.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

_ALLIANCE = "alliance."
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SIGNATURE_BYTES = 12
CURSOR_CHARACTERS_MAX = 64 * 1024
"""A participant in every alliance has some 50 topics, which are 2,000 characters."""


class BadCursor(ValueError):
    """A text is no cursor of this subscription; the error's text says why."""


class Cursor(NamedTuple):
    """The offset to go on from in each topic."""

    epoch: int
    positions: Mapping[str, int]


class CursorSigner:
    """Writes and reads cursors. key: the instance's secret."""

    def __init__(self, key: bytes) -> None:
        self._begun = blake2b(digest_size=_SIGNATURE_BYTES, key=key[:64], person=b"kommunebro-curs")

    def write(self, subscription: str, cursor: Cursor) -> str:
        """Return the text of a cursor."""
        return self._written([subscription, cursor.epoch, _short(cursor.positions)]).decode()

    def write_each(self, subscription: str, cursor: Cursor, read: Iterable[tuple[str, int]]) -> Iterator[bytes]:
        """Yield the text of the cursor that stands behind each of the records that were read, by topic and offset."""
        places = _short(cursor.positions)
        body = [subscription, cursor.epoch, places]
        for topic, offset in read:
            places[topic.removeprefix(_ALLIANCE)] = offset + 1
            yield self._written(body)

    def _written(self, content: list[Any]) -> bytes:
        body = orjson.dumps(content)
        return binascii.b2a_base64(self._sign(body) + body, newline=False).translate(_URL_SAFE, b"=")

    def read(self, subscription: str, text: str) -> Cursor:
        """Read a cursor that was given to a subscription. Raises `BadCursor`."""
        if len(text) > CURSOR_CHARACTERS_MAX:
            raise BadCursor("It is longer than any cursor that was given here.")
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadCursor("It is not a cursor that was given here.") from None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise BadCursor("It is not a cursor that was given here, or it was damaged on its way.")
        of, epoch, places = orjson.loads(body)
        if of != subscription:
            raise BadCursor(f"It belongs to the subscription {of}.")
        return Cursor(epoch, {_ALLIANCE + place: offset for place, offset in places.items()})

    def _sign(self, body: bytes) -> bytes:
        # The key is half of the work, and it was taken in once.
        signing = self._begun.copy()
        signing.update(body)
        return signing.digest()


def _short(positions: Mapping[str, int]) -> dict[str, int]:
    return {topic.removeprefix(_ALLIANCE): offset for topic, offset in positions.items()}
