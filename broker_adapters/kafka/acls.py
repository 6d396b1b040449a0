"""What the brokers must allow whom, as commands for Kafka's own `kafka-acls`. Pure.

With these a gateway does everything on a broker that allows nothing else; a test holds that. A participant may write to
its own mailbox, and nothing more: it reads over HTTP, where agreements decide.
"""

import shlex
from collections.abc import Iterable
from typing import NamedTuple

from broker_adapters.kafka.assignments import FORWARDERS, INTAKE
from broker_adapters.kafka.settings import MAILBOX

OWN_TOPICS = ("alliance.", "audit.", "control.", "pub.", "quarantine", "state.")
"""What names of topics begin with that a gateway makes, writes and reads. A mailbox is written by its participant."""

TRANSACTIONS = ("agreements", "forwarder-", "instance", "intake-")
"""What the ids of transactions begin with."""


class Brokers(NamedTuple):
    """Where the commands are to be carried out. command_config: the file with the administrator's own login."""

    bootstrap: str
    command_config: str | None = None


def commands(
    brokers: Brokers, *, prefix: str, gateways: Iterable[str], participants: Iterable[tuple[str, str]]
) -> list[str]:
    """Return commands for a shell, one a line.

    prefix: of every topic, group and transactional id. gateways: the principals of gateways and forwarders, such as
    `User:gateway`. participants: each participant with a principal of its producers; one may have several.
    """
    found = []
    for principal in gateways:
        found += [
            _allow(
                brokers, principal, ("Create", "Describe", "Read", "Write"),
                "--topic", [prefix + begins for begins in OWN_TOPICS], are_prefixes=True,
            ),
            _allow(
                brokers, principal, ("Create", "Describe", "Read"), "--topic", [prefix + MAILBOX], are_prefixes=True
            ),
            _allow(brokers, principal, ("Describe", "Read"), "--group", [prefix + FORWARDERS, prefix + INTAKE]),
            _allow(
                brokers, principal, ("Describe", "Write"),
                "--transactional-id", [prefix + begins for begins in TRANSACTIONS], are_prefixes=True,
            ),
        ]  # fmt: skip
    for participant, principal in participants:
        found.append(_allow(brokers, principal, ("Describe", "Write"), "--topic", [f"{prefix}{MAILBOX}{participant}"]))
    return found


def _allow(
    brokers: Brokers,
    principal: str,
    operations: Iterable[str],
    kind: str,
    names: Iterable[str],
    *,
    are_prefixes: bool = False,
) -> str:
    words = ["kafka-acls", "--bootstrap-server", brokers.bootstrap]
    if brokers.command_config is not None:
        words += ["--command-config", brokers.command_config]
    words += ["--add", "--allow-principal", principal]
    for operation in operations:
        words += ["--operation", operation]
    for name in names:
        words += [kind, name]
    if are_prefixes:
        words += ["--resource-pattern-type", "prefixed"]
    return shlex.join(words)
