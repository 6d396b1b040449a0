"""Kind `webhook`."""

from typing import TYPE_CHECKING

from municipality_connectors.connector_file.model import WebhookSource
from municipality_connectors.connector_file.opening.opening import Entry, Opened, Opening

if TYPE_CHECKING:
    from municipality_connectors.sources.webhook import Hook

SECRET_CHARACTERS_MIN = 16
_LOCAL = ("127.0.0.1", "localhost")


def open_webhook(source: WebhookSource, opening: Opening) -> Opened:
    """Return what is called."""
    # A web server takes a while to import, which no other kind of source need wait for.
    from municipality_connectors.sources.webhook import Webhook  # noqa: PLC0415

    secret = opening.secret(source.secret_file, "source", "secret-file")
    if secret is not None and len(secret) < SECRET_CHARACTERS_MIN:
        message = f"Hemmeligheden skal have mindst {SECRET_CHARACTERS_MIN} tegn."
        opening.fault(message, "source", "secret-file")
    host, _, port = source.listen.rpartition(":")
    if source.certificate_file is None and host not in _LOCAL:
        message = "Skal udfyldes, når andre maskiner skal kunne kalde."
        opening.fault(message, "source", "certificate-file")
    hooks = [_hook(entry) for entry in opening.entries]
    for entry in opening.entries:
        if [hook.path for hook in hooks].count(entry.publish.path or "/") > 1:
            entry.fault("Stien står flere steder: hver sti kaldes for én slags. Giv dem hver sin.", "path")
    files = [None if path is None else opening.folder / path for path in (source.certificate_file, source.key_file)]
    webhook = Webhook(host, int(port), secret or "", hooks, *files)
    return Opened(lambda: webhook, webhook=webhook)


def _hook(entry: Entry) -> "Hook":
    from municipality_connectors.sources.webhook import Hook  # noqa: PLC0415  # as above

    entry.check_documents()
    entry.check_only_changed()
    path = entry.publish.path
    if path is None or not path.startswith("/"):
        entry.fault("Skriv stien, som systemet kalder, fx /ordrer.", "path")
    return Hook(entry.plan, path or "/", entry.publish.items)
