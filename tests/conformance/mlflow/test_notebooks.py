"""From a notebook to the champion: a model that MLflow's client logs and registers is imported, judged, promoted and serves. HOLDFAST_CONFORMANCE_TABLE is
the table that the champion learnt from."""

import json
import os
import time
import urllib.error
import urllib.request

import mlflow
import pandas as pd
import pytest

pytestmark = pytest.mark.holdfast
PATIENCE = 120


def call(uri, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{uri}{path}", data, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.code} {error.read()[:500]}") from error


def eventually(look):
    """What `look` gives, as soon as it is something."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.1)
    return found


def logged(flavor, booster, model, columns):
    """As a notebook does it; the name of the file's place differs between MLflow 2 and 3."""
    signature = mlflow.models.infer_signature(columns.head(), [0.5])
    place = {"name": "model"}
    if mlflow.__version__.startswith("2."):
        place = {"artifact_path": "model"}
    with mlflow.start_run():
        flavor.log_model(
            booster, **place, registered_model_name=model, signature=signature
        )


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_notebooks_model_becomes_champion_and_serves(uri, client, name, library):
    pytest.importorskip(library)
    model = os.environ["HOLDFAST_CONFORMANCE_CHAMPION"].split("/")[0]
    table = pd.read_csv(os.environ["HOLDFAST_CONFORMANCE_TABLE"])
    left = table["Attrition_Flag"] == "Attrited Customer"
    columns = table.select_dtypes("number").drop(columns="CLIENTNUM").astype(float)
    mlflow.set_experiment(name)
    if library == "xgboost":
        import xgboost

        booster = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 4},
            xgboost.DMatrix(columns, left),
            120,
        )
        expected = booster.predict(xgboost.DMatrix(columns.head(1)))[0]
        logged(mlflow.xgboost, booster, model, columns)
    else:
        import lightgbm

        booster = lightgbm.train(
            {"objective": "binary", "verbose": -1},
            lightgbm.Dataset(columns, left),
            120,
        )
        expected = booster.predict(columns.head(1))[0]
        logged(mlflow.lightgbm, booster, model, columns)

    versions = client.search_model_versions(f"name = '{model}'")
    version = max(int(found.version) for found in versions)
    path = f"/api/v1/models/{model}/versions/{version}"
    ended = {"done", "failed"}
    imported = eventually(
        lambda: (
            found if (found := call(uri, f"{path}/import"))["state"] in ended else None
        )
    )
    assert imported["state"] == "done", imported
    promoted = call(uri, f"{path}/promote", {})
    assert promoted["version"] == version and promoted["evaluation_digest"]
    assert client.get_model_version_by_alias(model, "champion").version == str(version)

    row = json.loads(
        table.head(1).drop(columns="Attrition_Flag").to_json(orient="records")
    )[0]

    def answered():
        answer = call(uri, "/predict", row)
        return answer if answer["model_version"] == str(version) else None

    answer = eventually(answered)
    assert abs(answer["probabilities"][0] - expected) < 1e-6
