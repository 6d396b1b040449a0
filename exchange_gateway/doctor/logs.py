"""The log: the embedded one by its file, Kafka by asking its brokers."""

import socket
from pathlib import Path

import orjson

from broker_adapters.embedded.inspection import inspect
from broker_adapters.kafka import KafkaLog
from broker_adapters.kafka.inspection import Survey
from broker_adapters.kafka.topics import IN_SYNC, REPLICAS
from broker_adapters.log import RECORD_BYTES_MAX, LogError
from exchange_gateway.clock import Clock
from exchange_gateway.doctor.findings import Examination, listed
from exchange_gateway.instance import Instance, instance_of, read_instance
from exchange_gateway.keys import InstanceKeys
from schemas.identifiers import INSTANCE_TOPIC

CONNECT_S = 3.0
FUTURE_MS = 2_000
"""How far ahead of our clock the log's newest time may be: Kafka's is another machine's."""


LAST_RECORDS = 5
"""Where the newest record is looked for: at a topic's end there may be marks of Kafka's own."""


class Grown:
    """How large a log is and how long that took."""

    size_bytes, in_s = 0, 0.0


def examine_embedded(seen: Examination, folder: Path, clock: Clock, *, running: bool) -> tuple[Instance | None, Grown]:
    """Look at the file; return whose it is."""
    grown = Grown()
    try:
        found = inspect(folder, running=running)
    except LogError as error:
        seen.fail("log", str(error), "Restore it from a backup (docs/operations.md), or mend its permissions.")
        return None, grown
    if found is None:
        seen.ok("log", f"there is none in {folder} yet")
        return None, grown
    if found.waiting_bytes:
        seen.ok(
            "log",
            f"{found.path}, {found.size_bytes} bytes; the next start takes in {found.waiting_bytes} more beside it",
        )
    else:
        seen.ok("log", f"{found.path}, {found.size_bytes} bytes")
    if found.last_ms is not None and found.first_ms is not None:
        examine_clock(seen, clock, found.last_ms)
        grown.size_bytes, grown.in_s = found.size_bytes, (clock.now_us() / 1000 - found.first_ms) / 1000
    stored = found.control.get(INSTANCE_TOPIC)
    return None if stored is None else instance_of(orjson.loads(stored)), grown


def examine_clock(seen: Examination, clock: Clock, last_ms: int) -> None:
    """Compare our clock with the newest time in the log."""
    ahead_ms = last_ms - clock.now_us() // 1000
    if ahead_ms > FUTURE_MS:
        seen.fail(
            "clock",
            f"the log's newest record is {ahead_ms / 1000:.0f} seconds ahead of this machine's clock",
            "Set the clock right (NTP). Until it has caught up, the log's times stand still.",
        )
    else:
        seen.ok("clock", "the log's newest record lies before this machine's now")


def examine_instance(seen: Examination, instance: Instance | None, keys: InstanceKeys | None) -> None:
    """Compare the secrets with those that the log was begun with."""
    if instance is None or keys is None:
        return
    if instance.keys_fingerprint == keys.fingerprint:
        seen.ok("instance", f"{instance.name}, and the keys are its own")
    else:
        seen.fail(
            "instance",
            f"the log belongs to {instance.name}, whose keys are others",
            "Copy that instance's instance.keys here, or name it with --keys.",
        )


# --- Kafka ------------------------------------------------------------------------------------------


async def examine_kafka(seen: Examination, log: KafkaLog, bootstrap: str, clock: Clock) -> Instance | None:
    """Look at the cluster; return whose log it holds."""
    if not _connects(seen, bootstrap):
        return None
    try:
        await log.open()
        try:
            _examine_survey(seen, await log.survey())
            await log.check()
            seen.ok("log", "every topic has the copies in sync that an acknowledgement needs")
            return await _instance(seen, log, clock)
        finally:
            await log.close()
    except LogError as error:
        # What no second try helps against is a matter of settings or rights.
        advice = "Look at the brokers, and at what this client may do there."
        seen.fail("log", str(error), advice, unreachable=error.retryable)
        return None


def _connects(seen: Examination, bootstrap: str) -> bool:
    """Try each address, so that one that is wrong is named even while another answers."""
    away = []
    addresses = bootstrap.split(",")
    for address in addresses:
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
        except (OSError, ValueError, OverflowError) as error:
            away.append(f"{address} ({error.strerror or error if isinstance(error, OSError) else 'not HOST:PORT'})")
    if not away:
        seen.ok("kafka", f"{listed(addresses)} can be connected to")
    elif len(away) < len(addresses):
        seen.warn("kafka", f"no connection to {listed(away)}", "Start that broker, or take it out of --kafka.")
    else:
        seen.fail(
            "kafka",
            f"no connection to {listed(away)}",
            "Is it running, and is --kafka right? `kommunebro kafka status` tells of a local one.",
            unreachable=True,
        )
    return len(away) < len(addresses)


def _examine_survey(seen: Examination, survey: Survey) -> None:
    told = survey.settings
    if survey.old:
        seen.fail("kafka version", "older than 2.8", "Use Apache Kafka 3.9 or 4.")
    else:
        seen.ok("kafka version", "2.8 or later, by its protocol")
    if survey.brokers < REPLICAS:
        seen.warn(
            "brokers",
            f"{survey.brokers}",
            f"Use {REPLICAS}, on machines of their own: with fewer, an acknowledged event is on one disk only.",
        )
    else:
        seen.ok("brokers", f"{survey.brokers}")
    wrong = []
    if survey.brokers >= REPLICAS and int(told.get("min.insync.replicas", IN_SYNC)) < IN_SYNC:
        wrong.append(f"min.insync.replicas={told['min.insync.replicas']}, better {IN_SYNC}")
    if survey.brokers >= REPLICAS and int(told.get("default.replication.factor", REPLICAS)) < REPLICAS:
        wrong.append(f"default.replication.factor={told['default.replication.factor']}, better {REPLICAS}")
    wrong += [
        f"{name}=true, better false"
        for name in ("auto.create.topics.enable", "unclean.leader.election.enable")
        if told.get(name) == "true"
    ]
    if int(told.get("message.max.bytes", RECORD_BYTES_MAX)) < RECORD_BYTES_MAX:
        wrong.append(f"message.max.bytes={told['message.max.bytes']}, at least {RECORD_BYTES_MAX}")
    if wrong:
        seen.warn("broker settings", "; ".join(wrong), "Set them on the brokers; docs/operations.md says why.")
    else:
        seen.ok("broker settings", "as advised, as far as the broker tells them")
    _examine_transactions(seen, survey)


def _examine_transactions(seen: Examination, survey: Survey) -> None:
    copies = int(survey.settings.get("transaction.state.log.replication.factor", 1))
    if survey.transactions is False:
        seen.fail(
            "transactions",
            "no broker looks after them now",
            "Forwarding needs them: see to it that enough brokers run.",
            unreachable=True,
        )
    elif survey.transactions is None and copies > survey.brokers:
        seen.fail(
            "transactions",
            f"transaction.state.log.replication.factor={copies}, and there are {survey.brokers} brokers",
            "Start more brokers, or lower it.",
        )
    else:
        seen.ok("transactions", "possible" if survey.transactions else "possible; none was ever made here")


async def _instance(seen: Examination, log: KafkaLog, clock: Clock) -> Instance | None:
    topics = await log.topics()
    if INSTANCE_TOPIC not in topics:
        seen.ok("instance", "the log is not begun yet")
        return None
    newest = [await _newest_ms(log, topic) for topic in topics if topic.startswith("control.")]
    examine_clock(seen, clock, max(newest))
    return await read_instance(log)


async def _newest_ms(log: KafkaLog, topic: str) -> int:
    """Return when a topic's newest record was recorded; 0 where none is found among the last ones."""
    end = await log.end(topic)
    begin = max(await log.first(topic), end - LAST_RECORDS)
    if begin >= end:
        return 0
    async with log.reader({topic: begin}) as reader:
        records = await reader.poll(timeout_s=CONNECT_S)
    return max((record.recorded_at_ms for record in records), default=0)
