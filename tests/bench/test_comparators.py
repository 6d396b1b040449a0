"""The bare comparators do what they stand for: everything they acknowledge or count is there, by content."""

import json
import sys
from pathlib import Path

import pytest
import uvloop

from bench import ground as place
from bench.events import Head
from bench.ground import Ground
from bench.load import Plan
from bench.publishing import BARE_TOPIC, BATCH, SINGLE, Shape, turn
from bench.stored import create_topics, kafka_ends, kafka_ids
from bench.tally import compare


@pytest.fixture
def ground(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> Ground:
    return Ground(tmp_path, kafka_bootstrap, kafka_prefix, rounds=1, plan=Plan(0.4, 0.1), quick=True)


def published(ground: Ground, shape: Shape) -> list[str]:
    """Put the bare app under load, and return the ids that its topic then holds."""
    topic = ground.topic(BARE_TOPIC)
    uvloop.run(create_topics(ground.bootstrap, [topic], synced=True))
    server = place.bare_app(ground, BARE_TOPIC)
    requests = shape.requests(Head(server.port or 0, path=shape.bare_path))
    turned = turn(ground, server, shape, requests, lambda _: uvloop.run(kafka_ids(ground.bootstrap, topic)))
    stored = uvloop.run(kafka_ids(ground.bootstrap, topic))
    assert len(turned.outcome.acknowledged) * shape.events == len(stored)
    return stored


@pytest.mark.parametrize("shape", [SINGLE, BATCH])
def test_the_bare_app_stores_what_it_acknowledges(ground: Ground, shape: Shape) -> None:
    """One event a request or a hundred: what was answered is in the topic, once."""
    assert published(ground, shape)


def test_the_bare_loop_and_the_bare_reader_handle_every_record(ground: Ground) -> None:
    """The loop sends each record on to each output, and the reader counts them all in spite of the markers."""
    ids = set(published(ground, BATCH))
    source, outputs = ground.topic(BARE_TOPIC), [ground.topic("out-1"), ground.topic("out-2")]
    uvloop.run(create_topics(ground.bootstrap, outputs, synced=False))
    module = [sys.executable, "-m", "bench.comparators.transactions", "--kafka", ground.bootstrap]
    inputs = ["--inputs", json.dumps({source: 0}), "--outputs", ",".join(outputs), "--records", str(len(ids))]
    place.run_command([*module, *inputs])
    for output in outputs:
        compare(output, ids, uvloop.run(kafka_ids(ground.bootstrap, output)))
    # Committed transactions leave markers, so that offsets say more than there are records.
    assert uvloop.run(kafka_ends(ground.bootstrap, outputs))[outputs[0]] > len(ids)
    reader = [sys.executable, "-m", "bench.comparators.reader", "--kafka", ground.bootstrap]
    read = json.loads(place.run_command([*reader, "--topics", ",".join([source, *outputs])]))
    assert read["records"] == 3 * len(ids)
