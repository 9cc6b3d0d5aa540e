"""The other libraries' models of the bank's data, as a careful user of each would make them.

`tuned_peers.json` holds what `tune_peers.py` found.
"""

import json
import pathlib

import bench
import catboost
import lightgbm
import numpy as np
import pandas
import xgboost
from imblearn.over_sampling import SMOTE
from predecessor import REQUIRED, XGBOOST, features
from sklearn.preprocessing import StandardScaler

TUNED = pathlib.Path(__file__).with_name("tuned_peers.json")


class Bank:
    """The nineteen features as each library likes them, and the labels."""

    def __init__(self, path):
        self.path = path
        table = pandas.read_csv(path, encoding="utf-8-sig")
        self.labels = bench.labels(path)
        # The first two columns are number and label; after the features come columns that leak.
        self.texts = table.iloc[:, 2:21]
        kinds = self.texts.dtypes
        self.categories = [
            name
            for name in kinds.index
            if not pandas.api.types.is_numeric_dtype(kinds[name])
        ]
        self.native = self.texts.astype(dict.fromkeys(self.categories, "category"))


def booster(kind, data, parameters):
    """A fit of one library: training rows in, a scorer of rows out."""
    if kind == "XGBoost":
        fixed = {"enable_categorical": True, "tree_method": "hist"}
        model = xgboost.XGBClassifier(n_jobs=1, random_state=0, **fixed, **parameters)
        frame, extra = data.native, {}
    elif kind == "LightGBM":
        model = lightgbm.LGBMClassifier(
            n_jobs=1, random_state=0, verbose=-1, **parameters
        )
        frame, extra = data.native, {}
    else:
        fixed = {"verbose": 0, "allow_writing_files": False}
        model = catboost.CatBoostClassifier(
            thread_count=1, random_seed=0, **fixed, **parameters
        )
        frame, extra = data.texts, {"cat_features": data.categories}

    def fit(train):
        model.fit(frame.iloc[train], data.labels[train].astype(int), **extra)
        return lambda rows: model.predict_proba(frame.iloc[rows])[:, 1]

    return fit


def predecessor(data):
    """Eight columns, two engineered, three dropped; scaled, balanced by SMOTE, XGBoost."""
    table = data.texts[list(REQUIRED)].astype(float)
    columns = features(table).to_numpy()

    def fit(train):
        scaler = StandardScaler().fit(columns[train])
        model = xgboost.XGBClassifier(**XGBOOST)
        labels = data.labels[train].astype(int)
        balanced = SMOTE(random_state=42).fit_resample(
            scaler.transform(columns[train]), labels
        )
        model.fit(*balanced)
        return lambda rows: model.predict_proba(scaler.transform(columns[rows]))[:, 1]

    return fit


def contenders(data):
    """Every peer by name, each with its defaults and as tuned."""
    tuned = json.loads(TUNED.read_text())["parameters"]
    fits = {}
    for kind in ("XGBoost", "LightGBM", "CatBoost"):
        fits[f"{kind}, defaults"] = booster(kind, data, {})
        fits[f"{kind}, tuned"] = booster(kind, data, tuned[kind])
    fits["predecessor's pipeline"] = predecessor(data)
    return fits


def cross_validated(fit, labels, folds, score):
    """Mean score of a fit over folds of (training rows, held-out rows)."""
    return float(
        np.mean([score(labels[held], fit(train)(held)) for train, held in folds])
    )
