"""From a notebook to the champion: a model that MLflow's client logs and registers is imported, judged, promoted and serves.

HOLDFAST_CONFORMANCE_TABLE is the table that the champion learnt from. The file is run after the suite and not with it, because champions change.
"""

import json
import os
import time

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import pytest
import xgboost
from generations import named
from http_calls import call

pytestmark = pytest.mark.holdfast
PATIENCE = 120
ROUNDS = 120
OUTCOME = "Attrition_Flag"


@pytest.fixture
def model() -> str:
    return os.environ["HOLDFAST_CONFORMANCE_CHAMPION"].split("/")[0]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(os.environ["HOLDFAST_CONFORMANCE_TABLE"])


@pytest.fixture(scope="module")
def numbers(table) -> pd.DataFrame:
    return table.select_dtypes("number").drop(columns="CLIENTNUM").astype(float)


@pytest.fixture(scope="module")
def left(table) -> pd.Series:
    return table[OUTCOME] == "Attrited Customer"


def ok(uri, method, path, body=None):
    """What is answered to a call that must succeed."""
    status, answer, _ = call(uri, method, path, body, timeout=60)
    assert status == 200, f"{path}: {status} {answer}"
    return answer


def eventually(look):
    """What `look` gives, as soon as it is something."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.1)
    return found


def logged(flavor, booster, model, numbers):
    """As a notebook does it."""
    signature = mlflow.models.infer_signature(numbers.head(), [0.5])
    with mlflow.start_run():
        flavor.log_model(
            booster, **named("model"), registered_model_name=model, signature=signature
        )


def imported(uri, client, model):
    """The newest version, once nobody's doing has imported it."""
    versions = client.search_model_versions(f"name = '{model}'")
    version = max(int(found.version) for found in versions)
    path = f"/api/v1/models/{model}/versions/{version}"

    def ended():
        found = ok(uri, "GET", f"{path}/import")
        return found if found["state"] in {"done", "failed"} else None

    end = eventually(ended)
    assert end["state"] == "done", end
    return version, path


def serves_as(uri, client, table, model, version, expected):
    """The version is champion to both worlds, and ranks customers as the notebook's library does: answers are calibrated, which keeps their order."""
    assert client.get_model_version_by_alias(model, "champion").version == str(version)
    customers = json.loads(
        table.head(len(expected)).drop(columns=OUTCOME).to_json(orient="records")
    )

    def answered():
        answer = ok(uri, "POST", "/api/v1/predictions", {"records": customers})
        return answer if answer["version"] == version else None

    answers = eventually(answered)["predictions"]
    ours = np.array([answer["probability"] for answer in answers])
    assert np.all(np.diff(ours[np.argsort(expected, kind="stable")]) >= 0)
    assert ours.max() - ours.min() > 0.5


def test_a_model_of_xgboost_is_promoted_on_what_the_gate_found(
    uri, client, name, model, table, numbers, left
):
    mlflow.set_experiment(name)
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 4},
        xgboost.DMatrix(numbers, left),
        ROUNDS,
    )
    logged(mlflow.xgboost, booster, model, numbers)
    version, path = imported(uri, client, model)
    promoted = ok(uri, "POST", f"{path}/promote", {})
    assert promoted["version"] == version and promoted["evaluation_digest"]
    expected = booster.predict(xgboost.DMatrix(numbers.head(300)), output_margin=True)
    serves_as(uri, client, table, model, version, expected)


def test_a_model_of_lightgbm_is_promoted_on_somebodys_word(
    uri, client, name, model, table, numbers, left
):
    mlflow.set_experiment(name)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1},
        lightgbm.Dataset(numbers, left),
        ROUNDS,
    )
    logged(mlflow.lightgbm, booster, model, numbers)
    version, path = imported(uri, client, model)
    # No better than the champion, which has seen the same rows: the gate says so.
    status, answer, _ = call(uri, "POST", f"{path}/promote", {})
    assert status == 409, answer
    word = {"override": True, "note": "a test's word"}
    promoted = ok(uri, "POST", f"{path}/promote", word)
    assert promoted["version"] == version
    expected = booster.predict(numbers.head(300), raw_score=True)
    serves_as(uri, client, table, model, version, expected)
