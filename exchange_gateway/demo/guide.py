"""What the demo tells whoever started it: where it is, tokens, and what to try. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from exchange_gateway.core.access import Role
from exchange_gateway.demo.day import Happening
from exchange_gateway.demo.town import MUNICIPALITIES
from schemas.identifiers import EventName

STRUER, HERNING, AALBORG = "0671", "0657", "0851"
NAMES: Mapping[str, str] = {place.code: place.name for place in MUNICIPALITIES}

TOKENS: tuple[tuple[Role, str], ...] = (
    (Role.PUBLISHER, STRUER),
    (Role.READER, HERNING),
    (Role.COORDINATOR, HERNING),
    (Role.MANAGER, HERNING),
    (Role.AUDITOR, "auditor"),
    (Role.OPERATOR, "operator"),
)
"""Whom the demo hands a token to, for each role."""

_WORDS: Mapping[EventName, str] = {
    EventName.JOB_ORDER: "job order",
    EventName.COMPANY_CONTACT: "contact",
    EventName.VISIT: "visit",
    EventName.COMPANY_COOPERATION: "cooperation",
    EventName.JOB_ORDER_RESPONSE: "response",
}

_WITHOUT_CURL = (
    "import sys, urllib.request as u; name, _, value = sys.argv[1].partition(': '); "
    "print(u.urlopen(u.Request(sys.argv[2], headers={name: value})).read().decode())"
)
"""What stands in for curl on a machine that lacks it."""


class Try(NamedTuple):
    """Something to try. why: what it shows; command: for a shell, complete in itself."""

    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo runs. program: the `kommunebro` that runs it; python: the interpreter beside it."""

    url: str
    folder: Path
    program: Path
    python: Path
    has_curl: bool

    def verb(self, verb: str, *options: str) -> str:
        """Return a command line of ours."""
        return shlex.join([str(self.program), *verb.split(), *options])

    def get(self, path: str, participant: str) -> str:
        """Return a command line that reads from the gateway as a participant, and lays the JSON out."""
        token = self.verb("token", "--data", str(self.folder), "--participant", participant, "--role", "reader")
        header, url = f'"Authorization: Bearer $({token})"', shlex.quote(self.url + path)
        python = shlex.quote(str(self.python))
        if self.has_curl:
            return f"curl -s -H {header} {url} | {python} -m json.tool --no-ensure-ascii"
        return f"{python} -c {shlex.quote(_WITHOUT_CURL)} {header} {url}"


def things_to_try(place: Place, order_id: str, sheet: Path, state: Path) -> tuple[Try, ...]:
    """Return the five commands. order_id: Struer's first job order; sheet: the file that it stands in."""
    to = ("--to", place.url, "--data", str(place.folder))
    return (
        Try("What Herning sees of Struer's job orders: without the contact person; the filled one taken back",
            place.get(f"/v1/job-orders?owner={STRUER}", HERNING)),
        Try("What Aalborg, in another alliance, sees of them: nothing",
            place.get(f"/v1/job-orders?owner={STRUER}", AALBORG)),
        Try("How the filled order got there: every record of it, as Struer sent it and as it was shared",
            place.verb("replay", *to, "--subject", order_id)),
        Try("Struer's sheet again. Nothing is sent twice; change a row in a spreadsheet first, and that row is sent",
            place.verb("publish", str(sheet), *to, "--participant", STRUER, "--state", str(state))),
        Try("What Vestalliancen has agreed to share, and with whom",
            place.verb("alliances show", "vestalliancen", *to)),
    )  # fmt: skip


def render(place: Place, tokens: Mapping[Role, str], tries: tuple[Try, ...], summary: str, *, temporary: bool) -> str:
    """Return the text to print when everything is there."""
    lines = [summary, "", f"Kommunebro answers at {place.url} (its API is described at {place.url}/docs).", ""]
    lines.append("A token for each role, good for a week:")
    for role, participant in TOKENS:
        who = f"{participant} {NAMES[participant]}" if participant in NAMES else ""
        lines.append(f"  {role:<12}{who:<14}{tokens[role]}")
    lines += ["", "Five things to try, each in another terminal:"]
    for number, row in enumerate(tries, 1):
        lines += ["", f"{number}. {row.why}", f"   {row.command}"]
    after = "removes its folder" if temporary else f"keeps its folder {place.folder}"
    lines += ["", f"It goes on: an event every few seconds. Ctrl-C stops the demo and {after}.", ""]
    return "\n".join(lines)


def line_for(happening: Happening) -> str:
    """Return one line about something that happened just now."""
    data = happening.data
    about = data.get("title") or data.get("company", {}).get("name") or f"to {NAMES[data['jobOrderOwner']]}"
    state = data.get("status") or data.get("kind") or ""
    scope = data.get("employerAgreed") == "no" or data.get("sharing", {}).get("scope") == "own"
    kept = " (not shared)" if scope else ""
    words = f"{_WORDS[happening.name]} {state}".strip()
    return f"  {happening.time:%H:%M:%S}  {NAMES[happening.participant]:<18}{words:<26}{about}{kept}"
