"""The search language over runs: every kind of key, comparator and order, and pages."""

import math
import time

import pytest
from mlflow.entities import Metric, Param, RunTag

START = int(time.time() * 1000) - 1_000_000

# Letter, metric auc, parameter depth, tag team.
RUNS = [
    ("a", 0.9, "4", "Red"),
    ("b", 0.7, "6", "blue"),
    ("c", math.nan, "6", "Red"),
    ("d", None, "8", "blue"),
    ("e", 0.9, "10", "red"),
]


@pytest.fixture
def search(client, experiment):
    """The experiment's runs that a filter and an order give, as letters."""
    for number, (letter, auc, depth, team) in enumerate(RUNS):
        run = client.create_run(
            experiment, run_name=f"run {letter}", start_time=START + number * 1000
        )
        metrics = (
            []
            if auc is None
            else [Metric("auc", auc, START, 0), Metric("val/loss-x", 1 - auc, START, 0)]
        )
        client.log_batch(
            run.info.run_id,
            metrics=metrics,
            params=[Param("depth", depth)],
            tags=[RunTag("team", team), RunTag("letter", letter)],
        )
        if letter == "b":
            client.set_terminated(
                run.info.run_id, status="FINISHED", end_time=START + 500_000
            )

    def search(filter_string="", order_by=None, **kwargs):
        runs = client.search_runs(
            [experiment], filter_string, order_by=order_by, **kwargs
        )
        return "".join(run.data.tags["letter"] for run in runs)

    return search


FILTERS = [
    ("", "edcba"),
    ("metrics.auc > 0.8", "ea"),
    ("metric.auc >= 0.7 and metrics.auc < 0.9", "b"),
    ("metrics.auc = 0.9 AND params.depth = '4'", "a"),
    ("metrics.auc <= 0.7", None),
    ('metrics."val/loss-x" < 0.2', "ea"),
    ("metrics.`val/loss-x` > 0.2", "b"),
    ("params.depth = '6'", "cb"),
    ("param.depth != '6'", "eda"),
    ('parameters.depth = "8"', "d"),
    ("params.depth LIKE '1%'", "e"),
    ("params.depth ILIKE '1_'", "e"),
    ("params.width IS NULL", "edcba"),
    ("params.depth IS NOT NULL AND tags.team = 'blue'", "db"),
    ("tags.team LIKE 'R%'", "ca"),
    ("tags.team ILIKE 'R%'", "eca"),
    ("tag.`team` != 'Red'", "edb"),
    ("attributes.status = 'FINISHED'", "b"),
    ("status != 'FINISHED'", "edca"),
    ("attribute.status = 'RUNNING' AND attr.status LIKE 'RUN%'", "edca"),
    ("attributes.run_name = 'run d'", "d"),
    ("attributes.`run name` ILIKE 'RUN _'", "edcba"),
    (f"attributes.start_time >= {START + 2000}", "edc"),
    (f"start_time < {START + 2000} AND start_time > {START}", "b"),
    (f"attributes.created = {START + 3000}", "d"),
    (f"attributes.end_time = {START + 500_000}", "b"),
    ("tags.`mlflow.runName` = 'run e'", "e"),
]


@pytest.mark.parametrize(
    ("filter_string", "expected"), [f for f in FILTERS if f[1] is not None]
)
def test_filters(search, filter_string, expected):
    assert search(filter_string) == expected


ORDERS = [
    (["metrics.auc DESC"], "eabcd"),
    (["metrics.auc"], "beacd"),
    (["metric.`auc` ASC", "start_time ASC"], "baecd"),
    (["params.depth DESC", "attributes.start_time ASC"], "dbcae"),
    (["tags.letter ASC"], "abcde"),
    (["attributes.start_time ASC"], "abcde"),
    (["start_time DESC"], "edcba"),
    (["attribute.end_time ASC", "start_time ASC"], "bacde"),
    (["attributes.run_name"], "abcde"),
    (["params.width", "tag.letter DESC"], "edcba"),
]


@pytest.mark.parametrize(("order_by", "expected"), ORDERS)
def test_orders(search, order_by, expected):
    assert search(order_by=order_by) == expected


def test_filter_and_order(search):
    assert search("metrics.auc > 0.5", ["metrics.auc ASC", "start_time ASC"]) == "bae"
    assert search("params.depth = '6'", ["metrics.auc DESC"]) == "bc"


def test_ids_come_in_lists(client, search, experiment):
    by_letter = {
        r.data.tags["letter"]: r.info.run_id for r in client.search_runs([experiment])
    }
    assert (
        search(f"attributes.run_id IN ('{by_letter['a']}', '{by_letter['d']}', 'x')")
        == "da"
    )
    assert search(f"run_id NOT IN ('{by_letter['a']}', '{by_letter['d']}')") == "ecb"
    assert search(f"run_id = '{by_letter['c']}'") == "c"
    assert search(f"attributes.artifact_uri LIKE '%{by_letter['c']}%'") == "c"


def test_pages_follow_each_other(client, search, experiment):
    for order_by, expected in [
        (["metrics.auc DESC"], "eabcd"),
        (["start_time ASC"], "abcde"),
    ]:
        for size in range(1, 6):
            letters, token = "", None
            while True:
                page = client.search_runs(
                    [experiment], order_by=order_by, max_results=size, page_token=token
                )
                letters += "".join(run.data.tags["letter"] for run in page)
                token = page.token
                if not token:
                    break
            assert letters == expected, (order_by, size)


def test_several_experiments_and_none(client, name, search, experiment):
    other = client.create_experiment(f"{name}-other")
    client.create_run(other)
    assert len(client.search_runs([experiment, other])) == 6
    assert client.search_runs(["987654321"]) == []


BAD = [
    "metrics.auc > 'much'",
    "metrics.auc LIKE '1'",
    "params.depth = 6",
    "params.depth > '6'",
    "params.depth IN ('6')",
    "colour.depth = '6'",
    "attributes.colour = 'red'",
    "attributes.start_time = 'noon'",
    "metrics.auc",
    "metrics.auc > ",
    "metrics.auc > 0.5 OR metrics.auc < 0.1",
    "metrics.auc IS NULL",
    "run_id IN ()",
    "status IN ('FINISHED')",
    "(metrics.auc > 0.5)",
    "tags.team = Red",
]


@pytest.mark.parametrize("filter_string", BAD)
def test_other_languages_are_refused(client, experiment, refused, filter_string):
    assert (
        refused(client.search_runs, [experiment], filter_string)
        == "INVALID_PARAMETER_VALUE"
    )


@pytest.mark.parametrize(
    "order_by",
    [
        ["metrics.auc DOWN"],
        ["colour.x"],
        ["attributes.colour"],
        ["start_time", "start_time"],
    ],
)
def test_other_orders_are_refused(client, experiment, refused, order_by):
    # MLflow's own answer to a key that stands there twice is INTERNAL_ERROR.
    expected = (
        {"INVALID_PARAMETER_VALUE"}
        if len(order_by) == 1
        else {"INVALID_PARAMETER_VALUE", "INTERNAL_ERROR"}
    )
    assert refused(client.search_runs, [experiment], order_by=order_by) in expected


def test_too_many_at_once_are_refused(client, experiment, refused):
    assert (
        refused(client.search_runs, [experiment], max_results=50_001)
        == "INVALID_PARAMETER_VALUE"
    )


def test_data_sets_are_searched(client, experiment):
    mlflow_data = pytest.importorskip("mlflow.entities")
    for letter, context in [("a", "training"), ("b", "eval")]:
        run = client.create_run(experiment, tags={"letter": letter})
        dataset = mlflow_data.Dataset("bank", "d" + letter, "local", "{}")
        tag = mlflow_data.InputTag("mlflow.data.context", context)
        client.log_inputs(run.info.run_id, [mlflow_data.DatasetInput(dataset, [tag])])
    for filter_string, expected in [
        ("datasets.name = 'bank'", "ba"),
        ("dataset.digest = 'da'", "a"),
        ("datasets.context LIKE 'ev%'", "b"),
        ("datasets.name IN ('bank', 'x') AND dataset.context != 'eval'", "a"),
    ]:
        runs = client.search_runs([experiment], filter_string)
        assert "".join(r.data.tags["letter"] for r in runs) == expected, filter_string
    found = runs[0].inputs.dataset_inputs[0]
    assert (found.dataset.name, found.dataset.digest, found.dataset.source_type) == (
        "bank",
        "da",
        "local",
    )
    assert {t.key: t.value for t in found.tags} == {"mlflow.data.context": "training"}
