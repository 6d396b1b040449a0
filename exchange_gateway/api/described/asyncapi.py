"""The AsyncAPI 3.0 document: streams of Server-Sent Events, and the native door on Kafka.

Seen from the gateway: it receives what stands in a mailbox, and sends what a stream brings.
"""

from typing import TYPE_CHECKING, Any

from exchange_gateway.api.described import examples
from exchange_gateway.api.described.event_schemas import REF, camel, event_name, event_schemas
from exchange_gateway.api.described.shapes import PROBLEM_SCHEMA
from schemas.event import JSON, OPTIONAL, REQUIRED, STRUCTURED
from schemas.identifiers import QUARANTINE_TOPIC, EventName, mailbox_topic
from schemas.packaged import examples as dataset_examples

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

Node = dict[str, Any]

STREAM, MAILBOX, QUARANTINE = "stream", "mailbox", "quarantine"
_DESCRIPTION = """What comes and goes without being asked for each time: a subscription's stream over HTTP, and, where
the instance runs on Kafka, the mailbox to which a participant's own producer writes.

`/openapi.json` describes the rest."""
_UNIONS = ("Event", "ForwardedEvent")


def document(gateway: "Gateway") -> Node:
    """Return the whole document of an instance."""
    prefix = gateway.settings.kafka.prefix
    schemas = {name: schema for name, schema in event_schemas(gateway.registry).items() if name not in _UNIONS}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kommunebro", "version": gateway.version, "description": _DESCRIPTION},
        "defaultContentType": STRUCTURED,
        "servers": _servers(),
        "channels": {
            STREAM: _stream(),
            MAILBOX: _mailbox(prefix),
            QUARANTINE: _quarantine(prefix),
        },
        "operations": _operations(),
        "components": {
            "schemas": schemas | {"Problem": PROBLEM_SCHEMA, "Quarantined": _QUARANTINED},
            "messages": _messages(),
            "securitySchemes": _SECURITY,
        },
    }


_SECURITY: Node = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Role: reader."},
    "scram": {"type": "scramSha512", "description": "Where the brokers ask for it: SASL/SCRAM over TLS."},
    "mtls": {"type": "X509", "description": "Where the brokers ask for it: a client's certificate."},
    "oauth": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Where the brokers ask for it: SASL/OAUTHBEARER, with your identity provider's token.",
    },
}

_QUARANTINED: Node = {
    "type": "object",
    "description": "Where a refused message stands in its mailbox, what it was, and why it was refused; not its bytes.",
    "required": ["participant", "topic", "offset", "problem"],
    "properties": {
        "participant": {"type": "string"},
        "topic": {"type": "string"},
        "offset": {"type": "integer"},
        "until": {"type": "integer", "description": "Lost messages only: the offset after the last of them."},
        "receivedAt": {"type": "string", "format": "date-time"},
        "sha256": {"type": "string"},
        "eventId": {"type": ["string", "null"]},
        "problem": {"$ref": REF + "Problem"},
    },
}


def _servers() -> Node:
    def at(default: str, what: str) -> Node:
        return {"host": "{address}", "variables": {"address": {"default": default, "description": what}}}

    named = [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("scram", "mtls", "oauth")]
    bearer = [{"$ref": "#/components/securitySchemes/bearer"}]
    return {
        "gateway": at("127.0.0.1:8080", "Any gateway of the instance.") | {"protocol": "http", "security": bearer},
        "kafka": at("127.0.0.1:9092", "The brokers, from the operator.") | {"protocol": "kafka", "security": named},
    }


def _stream() -> Node:
    return {
        "address": "/v1/subscriptions/{subscriptionId}/stream",
        "title": "A subscription's events as they come",
        "description": "Server-Sent Events. It goes on behind `Last-Event-ID`, else behind the committed cursor.",
        "servers": [{"$ref": "#/servers/gateway"}],
        "parameters": {"subscriptionId": {"description": "From `POST /v1/subscriptions`."}},
        "messages": {name: _message(name) for name in map(_forwarded, EventName)},
    }


def _mailbox(prefix: str) -> Node:
    return {
        "address": prefix + mailbox_topic("{participant}"),
        "title": "What a participant's own producer publishes",
        "description": "Taken in exactly as over HTTP. Without `ce_*` and `content-type`, a message is structured.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "parameters": {"participant": {"description": "Yours, such as 0671.", "examples": [examples.STRUER]}},
        "messages": {
            name: _message(name) for names in ([_structured(one), _binary(one)] for one in EventName) for name in names
        },
        "bindings": {"kafka": {"partitions": 1, "bindingVersion": "0.5.0"}},
    }


def _quarantine(prefix: str) -> Node:
    return {
        "address": prefix + QUARANTINE_TOPIC,
        "title": "What was refused at the native door",
        "description": "Read it with `GET /v1/quarantine`: the topic itself is the operator's.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {"Quarantined": _message("Quarantined")},
        "bindings": {"kafka": {"partitions": 1, "bindingVersion": "0.5.0"}},
    }


def _operations() -> Node:
    def one(action: str, channel: str, summary: str) -> Node:
        return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}

    return {
        "streamEvents": one("send", STREAM, "What was shared with the subscriber, in order within each topic."),
        "takeIn": one("receive", MAILBOX, "An event that a participant's own producer wrote."),
        "setAside": one("send", QUARANTINE, "Why a message was not taken in."),
    }


def _messages() -> Node:
    messages: Node = {}
    for name in EventName:
        messages[_structured(name)] = _structured_message(name)
        messages[_binary(name)] = _binary_message(name)
        messages[_forwarded(name)] = _forwarded_message(name)
    messages["Quarantined"] = {
        "title": "A refused message",
        "contentType": JSON,
        "payload": {"$ref": REF + "Quarantined"},
        "examples": [{"name": "no-title", "payload": examples.quarantined()}],
    }
    return messages


def _structured_message(name: EventName) -> Node:
    kind = {"type": "string", "enum": [STRUCTURED]}
    return {
        "name": name.type,
        "title": f"A {name.value}, structured mode",
        "contentType": STRUCTURED,
        "headers": {"type": "object", "properties": {"content-type": kind}},
        "payload": {"$ref": REF + event_name(name)},
        "examples": [
            {"name": file, "headers": {"content-type": STRUCTURED}, "payload": one}
            for file, one in list(dataset_examples(name).items())[::2]
        ],
    }


def _binary_message(name: EventName) -> Node:
    text = {"type": "string"}
    properties: Node = {f"ce_{attribute}": text for attribute in (*REQUIRED, *OPTIONAL) if attribute != "data"}
    properties |= {"ce_type": text | {"enum": [name.type]}, "content-type": text | {"enum": [JSON]}}
    properties.pop("ce_datacontenttype")
    return {
        "name": name.type,
        "title": f"A {name.value}, binary mode",
        "contentType": JSON,
        "headers": {
            "type": "object",
            "required": [f"ce_{attribute}" for attribute in REQUIRED if attribute != "data"],
            "properties": properties,
        },
        "payload": {"$ref": REF + camel(name)},
        "examples": [
            {
                "name": file,
                "headers": examples.binary_headers(one, "ce_") | {"content-type": JSON},
                "payload": one["data"],
            }
            for file, one in list(dataset_examples(name).items())[1::2]
        ],
    }


def _forwarded_message(name: EventName) -> Node:
    text = {"type": "string"}
    fields = {"id": text | {"description": "The cursor behind the event."}, "event": text | {"enum": [name.type]}}
    return {
        "name": name.type,
        "title": f"A {name.value}, as an alliance's members get it",
        "contentType": STRUCTURED,
        "headers": {"type": "object", "required": ["id", "event"], "properties": fields},
        "payload": {"$ref": REF + event_name(name, forwarded=True)},
        "examples": [
            {
                "name": "vestalliancen",
                "headers": {"id": examples.CURSOR, "event": name.type},
                "payload": examples.forwarded(name),
            }
        ],
    }


def _structured(name: str) -> str:
    return event_name(name)


def _binary(name: str) -> str:
    return f"{camel(name)}Binary"


def _forwarded(name: str) -> str:
    return event_name(name, forwarded=True)


def _message(name: str) -> Node:
    return {"$ref": f"#/components/messages/{name}"}
