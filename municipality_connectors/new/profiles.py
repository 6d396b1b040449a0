"""Profiles of systems that job centres have: what public documents say of them, as a starting point for `connect new`.

A profile is a file in `profiles/`. It holds only names that its sources name; each says what is still to be confirmed,
and with whom. A system without public names has a profile, too: it says so.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from municipality_connectors.new.proposing import Hints
from schemas.identifiers import EventName


class RestPlace(BaseModel):
    """Where a service has the list. path: as in a connector file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str


class Profile(BaseModel):
    """What is publicly known of a system. known, confirm: sentences in Danish.

    names: by our field, what it may be called there, the surest first. prefixes: by our field, what stands before
    their value in ours. codes: by our field, their values and ours. never: names of what is not published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    owner: str
    system: str
    known: tuple[str, ...] = Field(min_length=1)
    confirm: tuple[str, ...] = Field(min_length=1)
    sources: tuple[str, ...] = Field(min_length=1)
    type: EventName | None = None
    never: frozenset[str] = frozenset()
    rest: RestPlace | None = None
    names: Mapping[str, tuple[str, ...]] = {}
    prefixes: Mapping[str, str] = {}
    codes: Mapping[str, Mapping[str, str]] = {}

    def notes(self) -> list[str]:
        """Return what a connector file made from it says of it, line by line."""
        return [
            f"Profil: {self.title}. SKAL BEKRÆFTES hos {self.owner}; intet herunder er aftalt med dem.",
            *(f"Kendt: {text}" for text in self.known),
            *(f"Bekræft: {text}" for text in self.confirm),
            *(f"Kilde: {url}" for url in self.sources),
        ]

    def header(self) -> tuple[str, ...]:
        """Return the columns that the system has as far as is known: of each field's names the surest."""
        return tuple(dict.fromkeys(names[0] for names in self.names.values()))


def profile(name: str) -> Profile:
    """Return a profile by its name. Raises `ValueError` with the names that there are, in Danish."""
    found = all_profiles().get(name.casefold())
    if found is None:
        raise ValueError(f"Der er ingen profil, der hedder {name}. Der er {', '.join(all_profiles())}.")
    return found


@cache
def all_profiles() -> Mapping[str, Profile]:
    """Return every profile, by its name, in the order of the alphabet."""
    folder = resources.files("municipality_connectors") / "profiles"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {Path(file.name).stem: Profile.model_validate(tomllib.loads(file.read_text("utf-8"))) for file in files}


def hints_of(profile: Profile) -> Hints:
    """Return what a profile says of a system's columns."""
    remark = f"Navnet er fra offentlige kilder; bekræft det hos {profile.owner}."
    return Hints(profile.names, profile.prefixes, profile.codes, profile.never, remark)
