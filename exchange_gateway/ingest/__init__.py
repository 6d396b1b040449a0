"""The one door in, for HTTP and the native door: access, schema, duplicate, append.

`examining.py` decides, without waiting for anything, what each event is; `door.py` appends the new ones and
answers when they are durable; `index_keeping.py` keeps the index of known events true to the log.
"""

from exchange_gateway.ingest.door import Ingest
from exchange_gateway.ingest.outcomes import Accepted, Arrival, Outcome, Refused

__all__ = ["Accepted", "Arrival", "Ingest", "Outcome", "Refused"]
