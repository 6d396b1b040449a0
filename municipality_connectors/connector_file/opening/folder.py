"""Kind `folder`: exports as JSON, NDJSON or XML."""

from municipality_connectors.connector_file.model import FolderSource
from municipality_connectors.connector_file.opening.opening import Opened, Opening
from municipality_connectors.sources.document_files import DocumentFiles


def open_folder(source: FolderSource, opening: Opening) -> Opened:
    """Return what opens the folder."""
    for entry in opening.entries:
        entry.check_documents()
    wanted = [(entry.plan, entry.publish.items) for entry in opening.entries]
    files = opening.files(source.path)
    return Opened(lambda: DocumentFiles(files, wanted, opening.fingerprint), files)
