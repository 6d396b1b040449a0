"""`kommunebro trace`: an event's way, as a person reads it."""

import json
import shlex
from pathlib import Path
from typing import Any

import typer

from exchange_gateway.cli import remote
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.cli.replaying import AUDITOR
from exchange_gateway.core.access import Role
from kommunebro import Client, Problem

THING = ("owner", "type", "subject")


def trace(asked: dict[str, str], *, url: str, token: str | None, data: Path | None, as_json: bool) -> None:
    """Print the trace. Raises `Failed`."""
    bearer = remote.bearer(token, data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(url, bearer) as client:
        found = _asked(client, asked)
        while not as_json and found.get("next"):
            typer.echo("\n".join(lines_of(found)))
            found = _asked(client, {**asked, "after": found["next"]})
            typer.echo()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(lines_of(found)))


def _asked(client: Client, asked: dict[str, str]) -> dict[str, Any]:
    try:
        return client.get("/v1/trace", asked)
    except Problem as problem:
        if problem.name != "ambiguous":
            raise
        sources = problem.body.get("sources", [])
        lines = [f"Several sources have an event {asked['id']}. Say which one is meant:"]
        lines += [f"  kommunebro trace {shlex.quote(asked['id'])} --source {source}" for source in sources]
        raise Failed(Exit.BAD_INPUT, "\n".join(lines)) from None


def thing_of(text: str) -> dict[str, str]:
    """Read `owner/type/subject` into what the gateway is asked. Raises `Failed`."""
    parts = text.split("/")
    if len(parts) != len(THING) or not all(parts):
        raise Failed(Exit.USAGE, f"--thing {text!r} is not OWNER/TYPE/SUBJECT, such as 0671/job-order/JO-1001.")
    return dict(zip(THING, parts, strict=True))


def lines_of(found: dict[str, Any]) -> list[str]:
    """Write a trace for people."""
    if "thing" not in found:
        return _event(found)
    blocks = [_event(one) for one in found["events"]]
    return [line for number, block in enumerate(blocks) for line in (*([""] if number else []), *block)]


def _event(found: dict[str, Any]) -> list[str]:
    event, received, decided = found["event"], found["received"], found["decided"]
    lines = [
        f"{event['type']} {event['subject']}, event {event['id']} of {event['source']}",
        f"  received   {received['at']} through {received['door']} by {received['by']}",
        f"  stands in  {event['topic']} at offset {event['offset']}",
    ]
    if "asked" in found:
        lines.insert(1, f"  caused     {found['asked']['id']}, which the forwarder made")
    if decided is None:
        lines.append("  not decided yet: no forwarder has come to it")
    else:
        lines.append(f"  decided    {decided['at']}, audit.forwarding at offset {decided['record']['offset']}")
    for one in found["forwarded"]:
        lines.append(f"  forwarded  to {one['alliance']} by version {one['agreementVersion']}, {one['form']}")
        lines += [f"             because: {one['meaning']}"] if "meaning" in one else []
        lines += [f"             as {one['made']['id']}"] if "made" in one else []
        lines.append(f"             cut: {', '.join(one['cut']) or 'nothing'}")
        lines += [f"             changed: {', '.join(one['changed'])}"] if one["changed"] else []
    for one in found["withheld"]:
        lines.append(f"  withheld   from {one['alliance'] or 'all others'}: {one['meaning']} ({one['reason']})")
    return lines + _participant(found["participant"]) if "participant" in found else lines


def _participant(seen: dict[str, Any]) -> list[str]:
    lines = [f"  for {seen['participant']}   {', '.join(seen['received']) or 'nothing'}"]
    lines += [f"             {one['alliance'] or 'everywhere'}: {one['meaning']}" for one in seen["why"]]
    return lines + [f"             {one}: can be read there since" for one in seen["later"]]
