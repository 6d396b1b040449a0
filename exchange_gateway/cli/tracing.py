"""`kommunebro trace`: an event's way, as a person reads it."""

import json
from pathlib import Path
from typing import Any

import typer

from exchange_gateway.cli import remote
from exchange_gateway.cli.replaying import AUDITOR
from exchange_gateway.core.access import Role


def trace(asked: dict[str, str], *, url: str, token: str | None, data: Path | None, as_json: bool) -> None:
    """Print the trace. Raises `Failed`."""
    bearer = remote.bearer(token, data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(url, bearer) as client:
        found = remote.checked(client.get("/v1/trace", params=asked))
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(lines_of(found)))


def lines_of(found: dict[str, Any]) -> list[str]:
    """Write a trace for people."""
    event, received, decided = found["event"], found["received"], found["decided"]
    lines = [
        f"{event['type']} {event['subject']}, event {event['id']} of {event['source']}",
        f"  received   {received['at']} through {received['door']} by {received['by']}",
        f"  stands in  {event['topic']} at offset {event['offset']}",
    ]
    if decided is None:
        return [*lines, "  not decided yet: no forwarder has come to it"]
    lines.append(f"  decided    {decided['at']}, audit.forwarding at offset {decided['record']['offset']}")
    for one in found["forwarded"]:
        lines.append(f"  forwarded  to {one['alliance']} by version {one['agreementVersion']}, {one['form']}")
        lines += [f"             because: {one['meaning']}"] if "meaning" in one else []
        lines.append(f"             cut: {', '.join(one['cut']) or 'nothing'}")
    for one in found["withheld"]:
        lines.append(f"  withheld   from {one['alliance'] or 'all others'}: {one['meaning']} ({one['reason']})")
    seen = found.get("participant")
    if seen is not None:
        lines.append(f"  for {seen['participant']}   {', '.join(seen['received']) or 'nothing'}")
        lines += [f"             {why}" for why in seen["why"]]
    return lines
