"""Calls that no method of the client makes."""

import json
import urllib.error
import urllib.request


def call(uri, method, path, body=None, timeout=20):
    """Status, JSON and headers of an answer, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        uri + path,
        data=data,
        method=method,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read() or b"{}"), answer.headers
    except urllib.error.HTTPError as error:
        text = error.read()
        return (
            error.code,
            json.loads(text) if text.startswith(b"{") else {},
            error.headers,
        )
