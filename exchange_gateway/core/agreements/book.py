"""All versions of all agreements: the fold of `control.agreements`, and what of it is in force. Pure."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from exchange_gateway.core.agreements.model import AgreementError, AgreementVersion, Kind, UnreadableAgreement
from exchange_gateway.core.agreements.parsing import parse_agreement

NEVER_US = 2**62
"""An instant that does not come: some 146,000 years ahead."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The agreements that hold at one instant: of each the newest version that is valid by then.

    by_participant: for each participant the agreements that list it, by id. waiting: the agreements of
    which no version is valid yet. until_us: the instant at which another version becomes valid, unless
    a record comes before. answers: what was decided by these agreements, kept by whoever decides.
    """

    by_id: Mapping[str, AgreementVersion]
    by_participant: Mapping[str, tuple[AgreementVersion, ...]]
    waiting: Mapping[str, AgreementVersion]
    from_us: int = 0
    until_us: int = NEVER_US
    answers: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, participant: str) -> tuple[AgreementVersion, ...]:
        """Return the agreements that list this participant as a member."""
        return self.by_participant.get(participant, ())


class AgreementBook:
    """Every version of every agreement, in the order of `control.agreements`.

    up_to_offset: the offset to go on reading from; everything before it is in the book.
    """

    def __init__(self) -> None:
        self.up_to_offset = 0
        self._versions: dict[str, list[AgreementVersion]] = {}
        self._in_force: InForce | None = None

    def apply(self, offset: int, value: bytes) -> AgreementVersion | None:
        """Take the record at `offset`; return its version, or None when the book had it already.

        Raises `UnreadableAgreement`: then nobody knows what may be shared, and nothing should be.
        """
        if offset < self.up_to_offset:
            return None
        version = _read(offset, value)
        versions = self._versions.get(version.alliance, [])
        if version.number != len(versions) + 1:
            raise UnreadableAgreement(
                offset, f"version {version.number} of {version.alliance} follows {len(versions)}."
            )
        self._versions[version.alliance] = [*versions, version]
        self.read_up_to(offset + 1)
        self._in_force = None
        return version

    def read_up_to(self, offset: int) -> None:
        """Note that the topic was read up to `offset`; behind the last record a log may have gaps."""
        self.up_to_offset = max(self.up_to_offset, offset)

    def newest(self, alliance: str) -> AgreementVersion | None:
        """Return the newest version, valid already or not."""
        versions = self._versions.get(alliance)
        return versions[-1] if versions else None

    def version(self, alliance: str, number: int) -> AgreementVersion | None:
        """Return one version."""
        versions = self._versions.get(alliance, [])
        return versions[number - 1] if 0 < number <= len(versions) else None

    def as_of(self, offset: int) -> "AgreementBook":
        """Return the book as it was when it was read up to an offset of `control.agreements`."""
        earlier = AgreementBook()
        kept = {
            alliance: [version for version in versions if version.offset < offset]
            for alliance, versions in self._versions.items()
        }
        earlier._versions = {alliance: versions for alliance, versions in kept.items() if versions}
        earlier.read_up_to(offset)
        return earlier

    def all(self) -> list[AgreementVersion]:
        """Return the newest version of each agreement, by id."""
        return [self._versions[alliance][-1] for alliance in sorted(self._versions)]

    def participants(self) -> set[str]:
        """Return everybody whom any version of any agreement has listed as a member."""
        return {
            participant
            for versions in self._versions.values()
            for version in versions
            for participant in version.agreement.members
        }

    def national(self) -> AgreementVersion | None:
        """Return the one agreement of kind national, where there is one."""
        return next((version for version in self.all() if version.agreement.kind is Kind.NATIONAL), None)

    def in_force(self, at_us: int) -> InForce:
        """Return what holds at an instant (UTC microseconds)."""
        kept = self._in_force
        if kept is None or not kept.from_us <= at_us < kept.until_us:
            self._in_force = kept = _in_force(self._versions, at_us)
        return kept

    def reads(self, participant: str, name: str, at_us: int = NEVER_US) -> tuple[str, ...]:
        """Return the alliances in which a participant may read a type: at an instant, or by the newest versions."""
        agreements = self.in_force(at_us).of(participant)
        return tuple(version.alliance for version in agreements if version.agreement.reads(participant, name))


def _in_force(versions: Mapping[str, list[AgreementVersion]], at_us: int) -> InForce:
    by_id: dict[str, AgreementVersion] = {}
    by_participant: dict[str, list[AgreementVersion]] = {}
    waiting: dict[str, AgreementVersion] = {}
    from_us, until_us = 0, NEVER_US + 1
    for alliance in sorted(versions):
        for version in reversed(versions[alliance]):
            if version.agreement.valid_from_us <= at_us:
                from_us = max(from_us, version.agreement.valid_from_us)
                by_id[alliance] = version
                break
            until_us = min(until_us, version.agreement.valid_from_us)
        else:
            waiting[alliance] = versions[alliance][-1]
    for version in by_id.values():
        for participant in version.agreement.members:
            by_participant.setdefault(participant, []).append(version)
    members = {participant: tuple(listed) for participant, listed in by_participant.items()}
    return InForce(by_id, members, waiting, from_us, until_us)


def _read(offset: int, value: bytes) -> AgreementVersion:
    try:
        record: dict[str, Any] = orjson.loads(value)
        agreement = parse_agreement(record["agreement"])
        return AgreementVersion(
            alliance=agreement.id,
            number=record["version"],
            offset=offset,
            agreement=agreement,
            body=record["agreement"],
            changed_by=record["changedBy"],
            changed_at=record["changedAt"],
        )
    except (AgreementError, KeyError, TypeError, ValueError) as error:
        raise UnreadableAgreement(offset, str(error)) from error
