"""The server under test: HOLDFAST_CONFORMANCE_MLFLOW is its tracking address. With HOLDFAST_CONFORMANCE_CHAMPION, a name and a version as
"churn/1", it is Holdfast with a champion; without, it may be MLflow's own server, which all other tests must pass on too."""

import os
import uuid

import mlflow
import pytest
from mlflow import MlflowClient


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "holdfast: what MLflow's own server does not have"
    )
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def pytest_collection_modifyitems(items):
    if "HOLDFAST_CONFORMANCE_CHAMPION" not in os.environ:
        skip = pytest.mark.skip(reason="is about Holdfast")
        for item in items:
            if "holdfast" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def uri() -> str:
    return os.environ["HOLDFAST_CONFORMANCE_MLFLOW"]


@pytest.fixture(autouse=True)
def _tracked(uri, tmp_path, monkeypatch):
    """Each test begins with no run and no experiment chosen, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.tracking.fluent._active_experiment_id = None
    yield
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def client(uri) -> MlflowClient:
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"name-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def experiment(client, name) -> str:
    return client.create_experiment(name)


@pytest.fixture
def run(client, experiment):
    return client.create_run(experiment)


@pytest.fixture
def refused():
    """Runs something that must fail and gives the error's code."""

    def refused(call, *args, **kwargs) -> str:
        with pytest.raises(mlflow.exceptions.MlflowException) as caught:
            call(*args, **kwargs)
        return caught.value.error_code

    return refused
