"""What `/asyncapi.json` shows of mailboxes is what a mailbox takes."""

import json
from typing import Any

from tests.described.parts import resolve
from tests.native_door.conftest import Municipality


async def test_examples_are_taken_in_from_the_mailbox(struer: Municipality) -> None:
    """Each of Struer's examples, written to its mailbox as it stands, is published, and none is in quarantine."""
    document = (await struer.client.get("/asyncapi.json")).json()
    mailbox = document["channels"]["mailbox"]
    assert mailbox["address"].format(participant="0671") == f"{struer.prefix}in.0671"
    messages = [resolve(document, one["$ref"]) for one in mailbox["messages"].values()]
    topics: dict[str, set[str]] = {}
    for message in messages:
        for example in message["examples"]:
            payload, headers = example["payload"], example["headers"]
            if not (headers.get("ce_source") or payload["source"]).startswith("urn:kommunebro:0671:"):
                continue
            await struer.produce(json.dumps(payload).encode(), [(key, text.encode()) for key, text in headers.items()])
            topic = f"pub.0671.{message['name'].removeprefix('dk.kommunebro.')}"
            topics.setdefault(topic, set()).add(headers.get("ce_id") or payload["id"])
    assert len(topics) > 2
    for topic, ids in topics.items():
        published: list[dict[str, Any]] = await struer.published(len(ids), topic)
        assert {event["id"] for event in published} == ids
    assert (await struer.quarantine())["quarantine"] == []
