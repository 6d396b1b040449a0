"""What every source gives: portions, each a file, a table or an answer, with tables of rows in it.

A new kind of source is a class with `portions`; nothing behind it needs to know what it reads.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from municipality_connectors.mapping.plan import Plan
from municipality_connectors.tables import SourceError, Table


class MarkOf(Protocol):
    """From a portion's `mark_key` to the mark that it left when it was last read; None for one to be read anew."""

    def __call__(self, key: str, *, always: bool = False) -> bytes | None:
        """Return the mark. always: also when a person asked for all to be read anew: states must not come again."""


class Done(NamedTuple):
    """What became of a portion's rows, by their numbers.

    unread: those that could not be read, and of whose thing no later row tells. superseded: those that an earlier
    portion of the same place left unread, and of whose thing this one tells.
    """

    unread: frozenset[int] = frozenset()
    superseded: frozenset[int] = frozenset()


class Portion:
    """Something that is read as one. place: its name, the same at every run; mark_key: that of its mark.

    whole: whether it holds all that there is, so that a thing whose row is gone from it is gone. successive: whether
    rows with one id are one state after another of a thing, rather than a mistake. lasting: whether it can be read
    again, so that it is worth a mark. rereads: whether a row that could not be read is read again by itself.
    """

    place: str
    whole: bool = True
    successive: bool = False
    lasting: bool = True
    rereads: bool = True
    marked_by: str | None = None

    @property
    def mark_key(self) -> str:
        """The name of its mark: its place, unless several descriptions may read there."""
        return self.place if self.marked_by is None else self.marked_by

    def is_as_marked(self, mark: bytes) -> bool:  # noqa: ARG002  # what cannot tell is read again
        """Whether nothing changed since it left this mark. May raise `SourceError`."""
        return False

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Iterate over its tables, each with what becomes of its rows, or what is wrong with it.

        May raise `SourceError` for the portion as a whole.
        """
        raise NotImplementedError

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # most leave one that says how far they are
        """Return the mark that it leaves, once its rows were read."""
        return b""

    def taken(self, done: Done) -> None:
        """Hear that what it held is kept durably."""


class Source(Protocol):
    """Where rows come from."""

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:
        """Iterate over what there is to read now. May raise `SourceError` where the source cannot be had at all."""
