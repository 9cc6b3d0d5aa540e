"""Media types that schemathesis does not know by itself."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    """A body of one line."""
    return json.dumps(value).encode()
