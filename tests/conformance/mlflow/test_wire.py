"""What no method of the client shows: other paths, twins of the page, and what there is not."""

import urllib.request

import pytest
from http_calls import call


@pytest.mark.parametrize("prefix", ["/api/2.0/mlflow", "/ajax-api/2.0/mlflow"])
def test_the_page_has_twins_of_all_paths(uri, experiment, prefix):
    status, answer, _ = call(
        uri, "GET", f"{prefix}/experiments/get?experiment_id={experiment}"
    )
    assert (status, answer["experiment"]["experiment_id"]) == (200, experiment)
    status, answer, _ = call(
        uri, "POST", f"{prefix}/runs/search", {"experiment_ids": [experiment]}
    )
    assert (status, answer) == (200, {})


def test_errors_have_codes_and_words(uri):
    status, answer, _ = call(
        uri, "GET", "/api/2.0/mlflow/experiments/get?experiment_id=987654321"
    )
    assert (status, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "987654321" in answer["message"]
    status, answer, _ = call(uri, "POST", "/api/2.0/mlflow/experiments/create", {})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    status, answer, _ = call(
        uri, "POST", "/api/2.0/mlflow/experiments/create", {"name": 7}
    )
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_files_are_told_not_to_be_sniffed(uri, client, run):
    client.log_text(run.info.run_id, "<script>", "page.html")
    root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    path = f"/api/2.0/mlflow-artifacts/artifacts/{root}/page.html"
    with urllib.request.urlopen(uri + path, timeout=20) as answer:
        assert answer.read() == b"<script>"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    status, answer, _ = call(
        uri, "GET", f"/api/2.0/mlflow/artifacts/list?run_id={run.info.run_id}"
    )
    assert status == 200 and answer["root_uri"] == run.info.artifact_uri
    assert [f["path"] for f in answer["files"]] == ["page.html"]


def test_no_path_leads_out(uri, run):
    for path in ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "a/..%2f..%2fb"]:
        status, _, _ = call(uri, "GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}")
        assert status in {400, 404, 500}
        status, answer, _ = call(
            uri, "GET", f"/api/2.0/mlflow-artifacts/artifacts?path={path}"
        )
        assert status >= 400 or answer.get("files", []) == []


def test_values_of_a_metric_come_thinned(uri, client, run):
    for step in range(50):
        client.log_metric(run.info.run_id, "m", step, step=step)
    path = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run.info.run_id}&metric_key=m&max_results=5"
    status, answer, _ = call(uri, "GET", path)
    assert status == 200
    steps = [metric.get("step", 0) for metric in answer["metrics"]]
    assert steps[0] == 0 and steps[-1] == 49 and len(steps) <= 6
    assert {metric["run_id"] for metric in answer["metrics"]} == {run.info.run_id}


@pytest.mark.holdfast
def test_what_is_not_spoken_says_so(uri):
    for prefix in ["/api/2.0/mlflow", "/ajax-api/3.0/mlflow", "/api/3.0/mlflow"]:
        for method, path in [
            ("POST", "/traces/search"),
            ("GET", "/scorers/list"),
            ("GET", "/gateway/endpoints/list"),
        ]:
            status, answer, _ = call(
                uri, method, prefix + path, {} if method == "POST" else None
            )
            assert (status, answer.get("error_code")) == (404, "ENDPOINT_NOT_FOUND"), (
                prefix + path
            )


def test_the_server_says_what_it_is(uri):
    status, answer, _ = call(uri, "GET", "/api/3.0/mlflow/server-info")
    assert status == 200 and isinstance(answer, dict)
