"""Options that several verbs share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exchange_gateway.cli.outcome import Exit, Failed

if TYPE_CHECKING:
    from exchange_gateway.settings import Settings

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder: keys, local read models, the embedded log.", show_default=False),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", show_default=False)]
KafkaOption = Annotated[
    str | None,
    typer.Option(
        "--kafka", metavar="HOST:PORT,…", help="Apache Kafka; left out: the embedded log.", show_default=False
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys", help="The instance's secrets; left out: instance.keys in the data folder.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ToOption = Annotated[str, typer.Option("--to", metavar="URL", help="The gateway.", envvar="KOMMUNEBRO_TO")]
AskedToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="URL", help="The gateway.", envvar="KOMMUNEBRO_TO", show_default=False),
]
"""Left out: asked for."""

TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", help="A bearer token; left out: one made from --data.", envvar="KOMMUNEBRO_TOKEN", show_default=False
    ),
]
DEFAULT_GATEWAY = "http://127.0.0.1:8080"


def gateway_from_environment() -> str | None:
    """Return the gateway's address where a variable names one; for verbs whose --to means more than that."""
    return os.environ.get("KOMMUNEBRO_TO")


def settings_from(config: Path | None = None, **flags: Any) -> "Settings":
    """Read the settings. Raises `Failed` with what is wrong with which."""
    from pydantic import ValidationError  # noqa: PLC0415

    from exchange_gateway.settings import load_settings  # noqa: PLC0415

    try:
        return load_settings(config, **flags)
    except ValidationError as error:
        rows = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors())
        raise Failed(Exit.USAGE, f"A setting is wrong. {rows}") from None
    except OSError as error:
        raise Failed(Exit.USAGE, f"{config} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Failed(Exit.USAGE, f"{config} is not TOML: {error}") from None
