"""From Kafka's errors to the port's: what a caller can do about each."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors

from broker_adapters.log import Fenced, LogError, LogUnavailable

FENCED = (errors.ProducerFenced, errors.InvalidProducerEpoch)
"""Kafka says the same when another processor started and when a transaction took longer than its timeout."""

REFUSED = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.SaslAuthenticationFailed,
    errors.IncompatibleBrokerVersion,
    errors.UnsupportedVersionError,
)
"""What no second try helps against: an operator has to change something."""

MOVED = (
    errors.NotLeaderForPartitionError,
    errors.LeaderNotAvailableError,
    errors.ReplicaNotAvailableError,
    errors.UnknownTopicOrPartitionError,
    errors.StaleMetadata,
    errors.KafkaStorageError,
)
"""What a look at the cluster's present state, and another try, may mend."""


class KafkaRefused(LogError):
    """Kafka refuses this client, by its rights or its version."""


def translate(error: BaseException, doing: str, *, outcome_unknown: bool = False) -> LogError:
    """Return the port's error for what happened while `doing` something."""
    if isinstance(error, LogError):
        return error
    if isinstance(error, FENCED):
        return Fenced(f"Kafka let {doing} no further: another processor of this name has started.")
    if isinstance(error, REFUSED):
        return KafkaRefused(f"Kafka refuses {doing}: {error!r}. Check the client's rights and the brokers' version.")
    detail = "it did not answer in time" if isinstance(error, TimeoutError | asyncio.TimeoutError) else repr(error)
    return LogUnavailable(f"Kafka is not available for {doing}: {detail}.", outcome_unknown=outcome_unknown)


@contextmanager
def translated(doing: str, *, outcome_unknown: bool = False) -> Iterator[None]:
    """Raise what Kafka, the network or a deadline raises inside as the port's error."""
    try:
        yield
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise translate(error, doing, outcome_unknown=outcome_unknown) from error
