"""The AsyncAPI document: what a subscription's stream brings, and the native door on Kafka. Pure.

Made from the same components as the OpenAPI document, and from the dataset's own examples.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from exchange_gateway.api.described_schemas import PROBLEM_SCHEMA
from exchange_gateway.api.event_components import (
    EVENT,
    FORWARDED,
    PREFIX,
    event_components,
    forwarded_examples,
    names_of,
    pascal,
    published_examples,
    ref,
)
from exchange_gateway.api.quarantine import PATH as QUARANTINE_PATH
from exchange_gateway.api.quarantine import QUARANTINE_EXAMPLE, QuarantineList
from exchange_gateway.api.stream import CURSOR_EXAMPLE
from exchange_gateway.api.stream import PATH as STREAM_PATH
from schemas.event import JSON, OPTIONAL, REQUIRED, STRUCTURED
from schemas.identifiers import EventName, mailbox_topic
from schemas.tree import Schema

EXAMPLES_MAX = 2
"""Examples of one message: enough to see what varies, and the document stays small."""

WEEK_MS = 7 * 24 * 3600 * 1000

_DESCRIPTION = """What comes and goes as messages: the streams of subscriptions (Server-Sent Events over HTTP), and the
native door, over which a participant's own producer writes to Kafka. All else is in `/openapi.json`."""
_SECURITY: dict[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`Authorization: Bearer <token>`; docs/access.md says which role it needs.",
    },
    "scram": {"type": "scramSha512", "description": "SASL/SCRAM over TLS, where the brokers' operator asks for it."},
    "certificate": {"type": "X509", "description": "A client certificate, where the brokers' operator asks for it."},
}


def asyncapi_document(version: str, host: str, scheme: str, *, native_door: bool, prefix: str) -> dict[str, Any]:
    """Return the document.

    host, scheme: where the gateway was asked. native_door: whether the instance runs on Kafka, without which there is
    no native door. prefix: of all its topics.
    """
    head = {
        "asyncapi": "3.0.0",
        "info": {"title": "Kommunebro", "version": version, "description": _DESCRIPTION},
        "defaultContentType": JSON,
        "servers": _servers(host, scheme, native_door=native_door),
    }
    return head | _messaging(prefix)


@lru_cache(maxsize=4)
def _messaging(prefix: str) -> dict[str, Any]:
    """Return what does not depend on who asks; kept, since whoever asks needs no token."""
    streamed = {pascal(name) + FORWARDED: _streamed(name) for name in EventName}
    structured = {pascal(name) + "Structured": _structured(name) for name in EventName}
    binary = {pascal(name) + "Binary": _binary(name) for name in EventName}
    refused = {"Quarantine": _quarantine()}
    messages = streamed | structured | binary | refused
    return {
        "channels": {
            "stream": _stream_channel(streamed),
            "mailbox": _mailbox_channel({**structured, **binary}, prefix),
            "quarantine": _quarantine_channel(refused),
        },
        "operations": _operations(streamed, {**structured, **binary}, refused),
        "components": {
            "schemas": _schemas(messages.values()),
            "messages": messages,
            "securitySchemes": _SECURITY,
        },
    }


def _servers(host: str, scheme: str, *, native_door: bool) -> dict[str, Any]:
    here = "" if native_door else " This instance keeps its own log and has no native door."
    return {
        "gateway": {
            "host": host,
            "protocol": scheme,
            "description": "The gateway that was asked for this document; any of the instance answers alike.",
            "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        },
        "kafka": {
            "host": "{bootstrap}",
            "protocol": "kafka-secure",
            "description": "The instance's brokers. Their operator gives you the address and what they ask for." + here,
            "variables": {"bootstrap": {"description": "HOST:PORT", "examples": ["kafka.example:9093"]}},
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("scram", "certificate")],
        },
    }


# --- channels and operations ------------------------------------------------------------------------


def _stream_channel(messages: Iterable[str]) -> dict[str, Any]:
    return {
        "address": STREAM_PATH.replace("subscription_id", "subscriptionId"),
        "title": "A subscription's stream",
        "description": "Server-Sent Events. Connect again with `Last-Event-ID`, and nothing is missed. A comment comes "
        "every 15 seconds. It commits nothing: see docs/subscriptions.md.",
        "servers": [{"$ref": "#/servers/gateway"}],
        "parameters": {"subscriptionId": {"description": "As `POST /v1/subscriptions` answered it."}},
        "messages": _references(messages),
    }


def _mailbox_channel(messages: Iterable[str], prefix: str) -> dict[str, Any]:
    return {
        "address": prefix + mailbox_topic("{participant}"),
        "title": "A participant's mailbox",
        "description": "Where a participant's own producer writes. Each event is taken in exactly as over HTTP; what "
        "is refused stands in quarantine with the reason. See docs/quickstart-native.md.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "parameters": {"participant": {"description": "Yours.", "examples": ["0671"]}},
        "messages": _references(messages),
        "bindings": {
            "kafka": {
                "partitions": 1,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": WEEK_MS},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _quarantine_channel(messages: Iterable[str]) -> dict[str, Any]:
    return {
        "address": QUARANTINE_PATH,
        "title": "What was refused at the native door",
        "description": "A list over HTTP, newest first; its parameters are in `/openapi.json`.",
        "servers": [{"$ref": "#/servers/gateway"}],
        "messages": _references(messages),
    }


def _references(messages: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _operations(streamed: Iterable[str], written: Iterable[str], refused: Iterable[str]) -> dict[str, Any]:
    over_http = {"http": {"method": "GET", "bindingVersion": "0.3.0"}}
    return {
        "streamEvents": _operation("send", "stream", "Stream what a subscription brings", streamed)
        | {"bindings": over_http},
        "takeInEvents": _operation("receive", "mailbox", "Take in what a participant's producer wrote", written),
        "listQuarantine": _operation("send", "quarantine", "List what was refused at the native door", refused)
        | {"bindings": over_http},
    }


def _operation(action: str, channel: str, summary: str, messages: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


# --- messages ---------------------------------------------------------------------------------------


def _streamed(name: EventName) -> dict[str, Any]:
    headers = {"id": CURSOR_EXAMPLE, "event": name.type}
    return {
        "name": name.type,
        "title": f"{pascal(name)} on a stream",
        "summary": "What an alliance shares, in the field `data`; the stream's other fields stand as headers.",
        "contentType": JSON,
        "headers": {
            "type": "object",
            "required": ["id", "event"],
            "properties": {
                "id": {"type": "string", "description": "The cursor behind the event."},
                "event": {"type": "string", "enum": [name.type]},
            },
        },
        "payload": ref(pascal(name) + FORWARDED),
        "examples": [_example(title, headers, event) for title, event in _first(forwarded_examples(name))],
    }


def _structured(name: EventName) -> dict[str, Any]:
    headers = {"content-type": STRUCTURED}
    return {
        "name": name.type,
        "title": f"{pascal(name)}, structured",
        "summary": "The value is the whole event. The header may be left out.",
        "contentType": STRUCTURED,
        "headers": {"type": "object", "properties": {"content-type": {"type": "string", "enum": [STRUCTURED]}}},
        "payload": ref(pascal(name) + EVENT),
        "examples": [_example(title, headers, event) for title, event in _first(published_examples(name))],
    }


def _binary(name: EventName) -> dict[str, Any]:
    attributes = event_components()[pascal(name) + EVENT]["properties"]
    told = [key for key in (*REQUIRED, *OPTIONAL) if key not in ("data", "datacontenttype")]
    # Others than those of the structured message: where they were the same, they would be duplicates.
    examples = _first(published_examples(name), EXAMPLES_MAX)
    return {
        "name": name.type,
        "title": f"{pascal(name)}, binary",
        "summary": "The value is the event's `data`; its attributes stand in headers, in UTF-8.",
        "contentType": JSON,
        "headers": {
            "type": "object",
            "required": ["content-type", *(f"ce_{key}" for key in told if key in REQUIRED)],
            "properties": {"content-type": {"type": "string", "enum": [JSON]}}
            | {f"ce_{key}": attributes[key] for key in told},
        },
        "payload": ref(pascal(name)),
        "examples": [_example(title, _binary_headers(event), event["data"]) for title, event in examples],
    }


def _binary_headers(event: dict[str, Any]) -> dict[str, str]:
    told = {f"ce_{key}": text for key, text in event.items() if key not in ("data", "datacontenttype")}
    return {"content-type": JSON, **told}


def _quarantine() -> dict[str, Any]:
    return {
        "name": "quarantine",
        "title": "A page of the quarantine",
        "summary": "What was refused, and why.",
        "contentType": JSON,
        "payload": ref(QuarantineList.__name__),
        "examples": [{"name": "jobordre-uden-titel", "payload": QUARANTINE_EXAMPLE}],
    }


def _example(title: str, headers: dict[str, str], payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": title, "headers": headers, "payload": payload}


def _first(examples: dict[str, dict[str, Any]], begin: int = 0) -> list[tuple[str, dict[str, Any]]]:
    return list(examples.items())[begin : begin + EXAMPLES_MAX]


def _schemas(messages: Iterable[dict[str, Any]]) -> dict[str, Schema]:
    """Return the components that messages refer to, and those that these refer to."""
    listed = QuarantineList.model_json_schema(ref_template=PREFIX + "{model}")
    known = event_components() | listed.pop("$defs", {}) | {QuarantineList.__name__: listed, "Problem": PROBLEM_SCHEMA}
    found: dict[str, Schema] = {}
    waiting = [name for message in messages for name in names_of(message["payload"])]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = known[name]
            waiting += names_of(known[name])
    return dict(sorted(found.items()))
