"""Runs and what is logged to them."""

import math
import time

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType

NOW = int(time.time() * 1000)


def test_a_run_begins_and_ends(client, experiment):
    run = client.create_run(
        experiment, run_name="first", tags={"k": "v"}, start_time=NOW - 5000
    )
    info = run.info
    assert (info.run_name, info.status, info.lifecycle_stage) == (
        "first",
        "RUNNING",
        "active",
    )
    assert (info.start_time, info.end_time) == (NOW - 5000, None)
    assert info.artifact_uri.endswith(f"/{experiment}/{info.run_id}/artifacts")
    assert run.data.tags["k"] == "v"
    assert run.data.tags["mlflow.runName"] == "first"
    client.set_terminated(info.run_id, status="FINISHED", end_time=NOW)
    ended = client.get_run(info.run_id).info
    assert (ended.status, ended.end_time) == ("FINISHED", NOW)
    client.update_run(info.run_id, status="FAILED", name="second")
    changed = client.get_run(info.run_id)
    assert (changed.info.status, changed.info.run_name) == ("FAILED", "second")
    assert changed.data.tags["mlflow.runName"] == "second"
    client.set_tag(info.run_id, "mlflow.runName", "third")
    assert client.get_run(info.run_id).info.run_name == "third"


def test_what_is_not_there_is_not_found(client, run, refused):
    missing = "0" * 32
    for call in [
        lambda: client.get_run(missing),
        lambda: client.log_param(missing, "k", "v"),
        lambda: client.log_metric(missing, "k", 1.0),
        lambda: client.set_tag(missing, "k", "v"),
        lambda: client.delete_tag(run.info.run_id, "none"),
        lambda: client.delete_run(missing),
        lambda: client.restore_run(missing),
        lambda: client.set_terminated(missing),
        lambda: client.create_run("987654321"),
        lambda: client.log_batch(missing, params=[Param("k", "v")]),
    ]:
        assert refused(call) == "RESOURCE_DOES_NOT_EXIST"


def test_parameters_never_change(client, run, refused):
    run_id = run.info.run_id
    client.log_param(run_id, "depth", 6)
    client.log_param(run_id, "depth", "6")
    assert refused(client.log_param, run_id, "depth", 7) == "INVALID_PARAMETER_VALUE"
    assert (
        refused(
            client.log_batch, run_id, params=[Param("depth", "8"), Param("eta", "1")]
        )
        == "INVALID_PARAMETER_VALUE"
    )
    assert client.get_run(run_id).data.params == {"depth": "6"}
    client.log_batch(run_id, params=[Param("depth", "6"), Param("eta", "0.1")])
    assert client.get_run(run_id).data.params == {"depth": "6", "eta": "0.1"}
    client.log_param(run_id, "empty", "")
    assert client.get_run(run_id).data.params["empty"] == ""


def test_metrics_have_a_history(client, run):
    run_id = run.info.run_id
    for step, value in [(0, 0.5), (2, 0.7), (1, 0.6)]:
        client.log_metric(run_id, "auc", value, timestamp=NOW + step, step=step)
    client.log_metric(run_id, "auc", 0.6, timestamp=NOW + 1, step=1)
    assert client.get_run(run_id).data.metrics == {"auc": 0.7}
    history = client.get_metric_history(run_id, "auc")
    assert [(m.key, m.value, m.step, m.timestamp) for m in history] == [
        ("auc", 0.5, 0, NOW),
        ("auc", 0.6, 1, NOW + 1),
        ("auc", 0.7, 2, NOW + 2),
    ]
    assert client.get_metric_history(run_id, "none") == []


def test_nan_and_infinities_are_values(client, run):
    run_id = run.info.run_id
    client.log_metric(run_id, "nan", math.nan)
    client.log_metric(run_id, "inf", math.inf)
    client.log_metric(run_id, "ninf", -math.inf)
    client.log_batch(
        run_id,
        metrics=[
            Metric("batch nan", math.nan, NOW, 0),
            Metric("batch inf", math.inf, NOW, 0),
        ],
    )
    found = client.get_run(run_id).data.metrics
    assert math.isnan(found["nan"]) and math.isnan(found["batch nan"])
    # MLflow's own server keeps the largest float for infinity.
    assert (
        found["inf"] >= 1.7976931348623157e308
        and found["batch inf"] >= 1.7976931348623157e308
    )
    assert found["ninf"] <= -1.7976931348623157e308
    assert math.isnan(client.get_metric_history(run_id, "nan")[0].value)


def test_floats_and_long_steps_come_back_as_they_were(client, run):
    run_id = run.info.run_id
    values = [
        0.1 + 0.2,
        5e-324,
        1.7976931348623157e308,
        -0.0,
        1 / 3,
        123456789.123456789,
    ]
    for step, value in enumerate(values):
        client.log_metric(run_id, "m", value, timestamp=NOW, step=2**40 + step)
    history = client.get_metric_history(run_id, "m")
    assert [m.value for m in history] == values
    assert [m.step for m in history] == [2**40 + step for step in range(len(values))]


def test_a_batch_is_all_or_nothing_and_has_limits(client, run, refused):
    run_id = run.info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric("m", step / 7, NOW + step, step) for step in range(1000)],
    )
    client.log_batch(run_id, params=[Param(f"p{i}", str(i)) for i in range(100)])
    client.log_batch(run_id, tags=[RunTag(f"t{i}", str(i)) for i in range(100)])
    data = client.get_run(run_id).data
    assert (data.metrics["m"], len(data.params)) == (999 / 7, 100)
    assert len(client.get_metric_history(run_id, "m")) == 1000
    bad = [
        {"metrics": [Metric("", 1.0, NOW, 0)]},
        {"params": [Param("x" * 251, "v")]},
        {"tags": [RunTag("bad\nkey", "v")]},
        {"params": [Param("twice", "1"), Param("twice", "2")]},
        {"params": [Param("../up", "1")]},
    ]
    for batch in bad:
        assert (
            refused(client.log_batch, run_id, **batch) == "INVALID_PARAMETER_VALUE"
        ), batch


def test_tags_come_and_go(client, run):
    run_id = run.info.run_id
    client.set_tag(run_id, "k", "v")
    client.set_tag(run_id, "k", "w" * 5000)
    assert client.get_run(run_id).data.tags["k"] == "w" * 5000
    client.set_tag(run_id, "with space/and.dots-and:colons", "ü")
    assert client.get_run(run_id).data.tags["with space/and.dots-and:colons"] == "ü"
    client.delete_tag(run_id, "k")
    assert "k" not in client.get_run(run_id).data.tags


def test_deleted_runs_take_nothing_until_they_are_restored(
    client, run, experiment, refused
):
    run_id = run.info.run_id
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    for call in [
        lambda: client.log_metric(run_id, "m", 1.0),
        lambda: client.log_param(run_id, "p", 1),
        lambda: client.set_tag(run_id, "t", 1),
        lambda: client.log_batch(run_id, tags=[RunTag("t", "1")]),
        lambda: client.set_terminated(run_id),
    ]:
        assert refused(call) == "INVALID_PARAMETER_VALUE"
    assert client.search_runs([experiment]) == []
    assert (
        len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    )
    client.restore_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    client.log_metric(run_id, "m", 1.0)


def test_fluent_runs_nest(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"x": 1.5, "y": 2.5}, step=3)
        mlflow.set_tags({"team": "churn"})
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("x", 3.0)
    found = client.get_run(parent.info.run_id)
    assert found.info.status == "FINISHED" and found.info.end_time
    assert found.data.params == {"a": "1", "b": "two"}
    assert found.data.metrics == {"x": 1.5, "y": 2.5}
    assert (
        found.data.tags["mlflow.user"] == found.info.user_id or found.info.user_id == ""
    )
    children = client.search_runs(
        [found.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
    )
    assert [c.info.run_id for c in children] == [child.info.run_id]
    assert client.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id


def test_a_failing_block_fails_its_run(client, name):
    mlflow.set_experiment(name)
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert client.get_run(run.info.run_id).info.status == RunStatus.to_string(
        RunStatus.FAILED
    )


def test_a_run_is_taken_up_again(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1.0, step=1)
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("m", 2.0, step=2)
    assert client.get_run(run.info.run_id).data.metrics == {"m": 2.0}


def test_logging_in_the_background_loses_nothing(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        for step in range(200):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.log_params({"p": 1}, synchronous=False)
        mlflow.flush_async_logging()
    assert [m.step for m in client.get_metric_history(run.info.run_id, "m")] == list(
        range(200)
    )
    assert client.get_run(run.info.run_id).data.params == {"p": "1"}


def test_runs_come_as_a_table(name):
    mlflow.set_experiment(name)
    for depth in range(3):
        with mlflow.start_run():
            mlflow.log_param("depth", depth)
            mlflow.log_metric("auc", depth / 10)
    table = mlflow.search_runs(experiment_names=[name], order_by=["metrics.auc DESC"])
    assert list(table["params.depth"]) == ["2", "1", "0"]
    assert list(table["metrics.auc"]) == [0.2, 0.1, 0.0]
