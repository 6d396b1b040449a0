"""`bench memory`: what a gateway holds resident after a million events, and after starting again with them."""

from bench import ground as place
from bench.figures import Row, Target
from bench.filling import PUBLISHERS, events_for, fill
from bench.ground import LOGS, Ground, LogKind
from bench.rounds import settle

MEMORY_MB_MAX = 300.0


def memory(ground: Ground) -> list[Row]:
    """Measure resident memory on both logs; every event is a job order of its own, the index's worst case."""
    return [row for log in LOGS for row in _rows(ground, log)]


def _rows(ground: Ground, log: LogKind) -> list[Row]:
    data = ground.work / f"gateway-memory-{log}"
    events = events_for(ground)
    with place.gateway(ground, data, log) as server:
        place.load_alliances(server, data)
        fill(server, data, events, PUBLISHERS)
        settle(server, ground)
        after, peak = server.rss_bytes() / 1e6, server.peak_rss_bytes() / 1e6
    with place.gateway(ground, data, log) as server:
        settle(server, ground)
        again = server.rss_bytes() / 1e6
    target = Target(MEMORY_MB_MAX, at_least=False)
    return [
        Row(f"Memory after {events:,} events, {log}", "MB", [after], target=target),
        Row("… at most, while they came in", "MB", [peak], target=target),
        Row("… after starting again", "MB", [again], target=target),
    ]
