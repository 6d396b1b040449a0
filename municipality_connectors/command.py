"""The verbs `publish` and `validate`: they show what happens and return an exit status."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from kommunebro import BadAddress, Client
from municipality_connectors.presentation import Shown
from municipality_connectors.report import USAGE, Failure, PublishReport
from municipality_connectors.running.publishing import publish_files, validate_files
from municipality_connectors.state.store import default_folder
from schemas.identifiers import SYSTEM, InvalidIdentifier, Participant


def publish_command(
    files: Sequence[Path],
    *,
    url: str,
    token: str,
    system: str = "regneark",
    state_folder: Path | None = None,
    as_json: bool = False,
) -> int:
    """Publish files, show how it goes, and return the exit status."""
    with Shown(as_json=as_json) as shown:
        report = _published(files, url, token, system, state_folder, shown)
        shown.published(report)
    return report.exit_status


def _published(
    files: Sequence[Path], url: str, token: str, system: str, state_folder: Path | None, shown: Shown
) -> PublishReport:
    participant = participant_of(token)
    if participant is None:
        message = "Tokenet kan ikke læses: det siger ikke, hvilken deltager det er udstedt til. Bed om et nyt token."
        return PublishReport(failure=Failure("unauthorized", message))
    if not SYSTEM.fullmatch(system):
        message = (
            "Systemets navn (--system) må kun have A-Z, a-z, 0-9, punktum, bindestreg og understreg, højst 64 tegn."
        )
        return PublishReport(failure=Failure("bad-system", message, USAGE))
    try:
        client = Client(url, token, sleep=shown.wait)
    except BadAddress:
        message = f"»{url}« er ikke en adresse. Skriv fx --to http://127.0.0.1:8080."
        return PublishReport(failure=Failure("bad-address", message, USAGE))
    with client:
        return publish_files(
            files,
            client=client,
            participant=participant,
            system=system,
            state_folder=state_folder or default_folder(),
            on_progress=shown.progress,
        )


def validate_command(files: Sequence[Path], *, participant: str = "0671", as_json: bool = False) -> int:
    """Say what `publish` would refuse, and return the exit status."""
    with Shown(as_json=as_json) as shown:
        try:
            report = validate_files(files, participant=Participant(participant), on_progress=shown.progress)
        except InvalidIdentifier as error:
            report = PublishReport(failure=Failure("bad-participant", str(error), USAGE))
        shown.validated(report)
    return report.exit_status


def participant_of(token: str) -> str | None:
    """Return whom a token says that it speaks for; the gateway, not we, checks whether that is true."""
    parts = token.strip().split(".")
    try:
        claims: Any = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return Participant(claims["participant"])
    except (IndexError, binascii.Error, ValueError, KeyError, TypeError):
        return None
