"""The doctor's round: which checks there are, in which order, and what each needs of those before it."""

import asyncio
from importlib.metadata import version

from broker_adapters.kafka import KafkaLog
from broker_adapters.log import LogError
from exchange_gateway.clock import Clock
from exchange_gateway.doctor.findings import Examination, listed
from exchange_gateway.doctor.folder import examine_disk, examine_folder, examine_keys, holder_of
from exchange_gateway.doctor.gateways import examine_gateway, examine_port
from exchange_gateway.doctor.logs import Grown, examine_embedded, examine_instance, examine_kafka
from exchange_gateway.instance import Instance
from exchange_gateway.keys import FILE_NAME as KEYS_FILE
from exchange_gateway.main import make_log
from exchange_gateway.settings import Settings, unknown_variables


def examine(settings: Settings, to: str | None, clock: Clock | None = None) -> Examination:
    """Look at everything. to: the gateway to ask; left out: that of the settings, where one runs."""
    seen, clock = Examination(), clock or Clock()
    _examine_settings(seen)
    folder = settings.data
    usable = examine_folder(seen, folder)
    holder = holder_of(folder) if usable else None
    if usable:
        seen.ok("in use", f"by process {holder}" if holder else "by nobody: no gateway runs on this folder")
    instance, grown = _examine_log(seen, settings, clock, running=holder is not None, usable=usable)
    examine_disk(seen, folder, grown_bytes=grown.size_bytes, grown_s=grown.in_s)
    keys = examine_keys(seen, settings.keys or folder / KEYS_FILE, needed=instance is not None)
    examine_instance(seen, instance, keys)
    if to is None and holder is None:
        if settings.port:
            examine_port(seen, settings.host, settings.port)
    else:
        examine_gateway(seen, to or _address(settings), version("kommunebro"), instance, clock)
    return seen


def _examine_settings(seen: Examination) -> None:
    unknown = unknown_variables()
    if unknown:
        advice = "It is passed over. docs/operations.md has the settings' names; a group ends with two underscores."
        seen.warn("settings", f"{listed(unknown)} names no setting", advice)
    else:
        seen.ok("settings", "can be read, and all are known")


def _examine_log(
    seen: Examination, settings: Settings, clock: Clock, *, running: bool, usable: bool
) -> tuple[Instance | None, Grown]:
    if settings.kafka_bootstrap is None:
        return examine_embedded(seen, settings.data, clock, running=running) if usable else (None, Grown())
    try:
        log = make_log(settings, settings.data / "log-state")
    except LogError as error:
        seen.fail("kafka settings", str(error), "Mend it; docs/operations.md has every setting.")
        return None, Grown()
    assert isinstance(log, KafkaLog)  # noqa: S101  # that is what a bootstrap address makes of it
    return asyncio.run(examine_kafka(seen, log, settings.kafka_bootstrap, clock)), Grown()


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # where one listens
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
