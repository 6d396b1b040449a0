"""Kind `rest`."""

from urllib.parse import urlsplit

from municipality_connectors.connector_file.model import OAuth, Paging, RestSource
from municipality_connectors.connector_file.opening.opening import Entry, Opened, Opening
from municipality_connectors.sources.oauth import ClientCredentials
from municipality_connectors.sources.rest import Resource, RestResources, Service

_LOCAL = ("127.0.0.1", "localhost", "::1")


def open_rest(source: RestSource, opening: Opening) -> Opened:
    """Return what opens the service's lists."""
    resources = [_resource(entry) for entry in opening.entries]
    _check_address(source.url, opening, "source", "url")
    token = opening.secret(source.token_file, "source", "token-file")
    password = opening.secret(source.password_file, "source", "password-file")
    service = Service(
        source.url,
        dict(source.headers) | ({"Authorization": f"Bearer {token}"} if token else {}),
        None if source.user is None else (source.user, password or ""),
        None if source.oauth is None else _credentials(source.oauth, opening),
        1 / source.requests_per_second,
    )
    return Opened(lambda: RestResources(service, resources))


def _resource(entry: Entry) -> Resource:
    publish, paging, since = entry.publish, entry.publish.paging or Paging(), entry.publish.since
    entry.check_documents()
    if publish.path is None:
        entry.fault("Skriv listens sti, fx /sager.", "path")
    if since is not None:
        entry.check_only_changed()
    return Resource(
        entry.plan, publish.path or "", publish.items, publish.parameters, paging.next, paging.cursor, paging.page,
        paging.first_page, paging.page_size, paging.size, None if since is None else since.parameter,
        None if since is None else since.from_,
    )  # fmt: skip


def _credentials(oauth: OAuth, opening: Opening) -> ClientCredentials:
    secret = opening.secret(oauth.client_secret_file, "source", "oauth", "client-secret-file")
    _check_address(oauth.token_url, opening, "source", "oauth", "token-url")
    return ClientCredentials(oauth.token_url, oauth.client_id, secret or "", oauth.scope)


def _check_address(url: str, opening: Opening, *place: str) -> None:
    """Add what is wrong with an address that secrets are sent to."""
    parts = urlsplit(url)
    if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and parts.hostname in _LOCAL):
        return
    message = "Adressen skal begynde med https://. Kun på maskinen selv (127.0.0.1) må den begynde med http://."
    opening.fault(message, *place)
