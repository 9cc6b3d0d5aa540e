"""Webhooks of registered models, told to a real receiver. MLflow's own server takes the receiver's address only with
MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https and _MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true in its environment, and tells webhooks that were added while it runs
after MLFLOW_WEBHOOK_CACHE_TTL seconds only: set that to 0."""

import base64
import hashlib
import hmac
import http.server
import json
import queue
import threading

import mlflow
import pytest

pytestmark = pytest.mark.skipif(
    int(mlflow.__version__.split(".")[0]) < 3, reason="webhooks came with MLflow 3"
)
EVENTS = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
]
SECRET = "a secret of the team"


@pytest.fixture
def receiver():
    told = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            told.put((dict(self.headers.items()), body.decode()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.told = told
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook(client, name, receiver):
    hook = client.create_webhook(
        name, receiver.url, EVENTS, description="to the chat", secret=SECRET
    )
    yield hook
    client.delete_webhook(hook.webhook_id)


def next_told(receiver):
    """Entity, action and data of what comes next, if it is signed."""
    headers, body = receiver.told.get(timeout=60)
    headers = {name.lower(): value for name, value in headers.items()}
    said = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.{body}"
    digest = hmac.new(SECRET.encode(), said.encode(), hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    assert hmac.compare_digest(headers["x-mlflow-signature"], signature)
    event = json.loads(body)
    return event["entity"], event["action"], event["data"]


def test_a_webhook_is_made_found_changed_and_deleted(client, name, receiver, refused):
    hook = client.create_webhook(name, receiver.url, EVENTS[:2], description="mine")
    assert [str(event) for event in hook.events] == EVENTS[:2]
    found = client.get_webhook(hook.webhook_id)
    assert (found.name, found.url, found.description) == (name, receiver.url, "mine")
    assert found.status == "ACTIVE" and found.secret is None
    assert found.creation_timestamp > 1_600_000_000_000
    assert hook.webhook_id in [one.webhook_id for one in client.list_webhooks()]
    changed = client.update_webhook(
        hook.webhook_id, name=f"{name}.b", events=EVENTS[4:], status="DISABLED"
    )
    assert (changed.name, changed.status) == (f"{name}.b", "DISABLED")
    assert [str(event) for event in changed.events] == EVENTS[4:]
    assert client.get_webhook(hook.webhook_id).description == "mine"
    client.delete_webhook(hook.webhook_id)
    assert refused(client.get_webhook, hook.webhook_id) == "RESOURCE_DOES_NOT_EXIST"
    for wrong in [("no blanks", receiver.url), (name, "ftp://example.com/")]:
        refusal = refused(client.create_webhook, *wrong, EVENTS[:1])
        assert refusal == "INVALID_PARAMETER_VALUE"


def test_changes_are_told_signed(client, name, receiver, hook, run):
    client.create_registered_model(name, tags={"k": "v"}, description="made here")
    made = {"name": name, "tags": {"k": "v"}, "description": "made here"}
    assert next_told(receiver) == ("registered_model", "created", made)
    client.log_text(run.info.run_id, "flavors: {}", "model/MLmodel")
    source = f"{run.info.artifact_uri}/model"
    client.create_model_version(name, source, run.info.run_id, tags={"a": "b"})
    version = {"name": name, "version": "1"}
    made = {"source": source, "run_id": run.info.run_id, "tags": {"a": "b"}}
    made |= version | {"description": None}
    assert next_told(receiver) == ("model_version", "created", made)
    client.set_model_version_tag(name, "1", "c", "d")
    tag = version | {"key": "c"}
    assert next_told(receiver) == ("model_version_tag", "set", tag | {"value": "d"})
    client.delete_model_version_tag(name, "1", "c")
    assert next_told(receiver) == ("model_version_tag", "deleted", tag)
    client.set_registered_model_alias(name, "best", "1")
    alias = {"name": name, "alias": "best"}
    told = ("model_version_alias", "created", alias | {"version": "1"})
    assert next_told(receiver) == told
    client.delete_registered_model_alias(name, "best")
    assert next_told(receiver) == ("model_version_alias", "deleted", alias)
    assert receiver.told.empty()


def test_a_webhook_is_tested(client, receiver, hook):
    result = client.test_webhook(hook.webhook_id)
    assert result.success and result.response_status == 204
    entity, action, data = next_told(receiver)
    assert (entity, action) == ("registered_model", "created")
    assert data["name"] == "example_model"
    assert client.test_webhook(hook.webhook_id, "model_version_alias.deleted").success
    assert next_told(receiver)[:2] == ("model_version_alias", "deleted")
    url = "http://127.0.0.1:9/nobody"
    client.update_webhook(hook.webhook_id, url=url)
    result = client.test_webhook(hook.webhook_id)
    assert not result.success and result.error_message
