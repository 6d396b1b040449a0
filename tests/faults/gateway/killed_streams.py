"""A gateway is killed with hundreds of streams open; all connect again, on Kafka to another gateway.

Events go on being published. Each listener connects again with `Last-Event-ID` and must have every event once, in the
topic's order.

    python -m tests.faults.gateway.killed_streams --streams 500 --times 10
"""

import argparse
import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from broker_adapters import local_kafka
from tests.faults.gateway.audience import Audience, Source, head_for, port_of
from tests.processes import Served, free_port, load_alliances, start

PER_S = 50
BETWEEN_S = 3.0
CATCH_UP_S = 180.0
"""On a busy machine 500 streams take two minutes to have what they missed; late is not lost."""


@dataclass
class Findings:
    """What came of it. wrong: the listeners whose list is not the topic's, with how."""

    events: int
    kills: int
    connections: int
    wrong: list[str]


def run(
    folder: Path, streams: int, times: int, kafka: str | None = None, prefix: str = "", *, between_s: float = BETWEEN_S
) -> Findings:
    """Kill a gateway `times` times with `streams` streams open; on Kafka each of two in turn."""
    arguments: list[str] = []
    if kafka is not None:
        config = folder / "settings.toml"
        config.write_text(f'[kafka]\nprefix = "{prefix}"\n')
        arguments = ["--kafka", kafka, "--config", str(config)]
    gateways = [start(folder / "data-0", *arguments)]
    try:
        if kafka is not None:
            keys = ["--keys", str(folder / "data-0" / "instance.keys")]
            gateways.append(start(folder / "data-1", *arguments, *keys, port=free_port()))
            arguments += keys
        load_alliances(gateways[0])
        return asyncio.run(_listen(gateways, arguments, streams, times, between_s))
    finally:
        for served in gateways:
            served.kill()


async def _listen(gateways: list[Served], arguments: list[str], streams: int, times: int, between_s: float) -> Findings:
    ports = [port_of(served) for served in gateways]
    source = Source(gateways[0].data, ports, int(PER_S * between_s * times))
    audience = Audience(ports, source)
    await audience.open(head_for(gateways[0]), streams)
    publishing = asyncio.create_task(source.publish(PER_S))
    for number in range(times):
        await asyncio.sleep(between_s)
        place = number % len(gateways)
        killed = gateways[place]
        killed.kill()
        gateways[place] = await asyncio.to_thread(start, killed.data, *arguments, port=port_of(killed))
    await publishing
    await audience.has_all(CATCH_UP_S)
    await audience.close()
    connections = sum(listener.connections for listener in audience.listeners)
    wrong = await asyncio.to_thread(audience.wrong, gateways[0])
    return Findings(source.events, times, connections, wrong)


def main() -> None:
    """Run the campaign on both logs, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [run(Path(folder) / "embedded", options.streams, options.times)]
        kafka = Path(folder) / "kafka"
        on_kafka = Path(folder) / "on-kafka"
        on_kafka.mkdir()
        try:
            bootstrap = local_kafka.up(kafka).bootstrap
            found.append(run(on_kafka, options.streams, options.times, bootstrap))
        finally:
            local_kafka.kill(kafka)
    for log, one in zip(("embedded", "Kafka"), found, strict=True):
        print(  # noqa: T201  # a campaign's report
            f"{log}: {one.kills} kills with {options.streams} streams open, which connected {one.connections} times: "
            f"{one.events} events each, {len(one.wrong)} wrong {one.wrong[:3]}"
        )
    raise SystemExit(any(one.wrong for one in found))


if __name__ == "__main__":
    main()
