"""Trains what the Python servers serve, on all of the bank's customers.

`train.py OUT_DIR` writes `pipeline.pkl` (the predecessor's: scaler and XGBoost on seven
columns made of eight, balanced by SMOTE) and `lean.txt` (LightGBM, 400 trees of depth 6).
"""

import pathlib
import pickle
import sys

import bench
import lightgbm
import numpy as np
import pandas
import xgboost
from imblearn.over_sampling import SMOTE
from predecessor import REQUIRED, XGBOOST, features
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

LIGHTGBM = {
    "objective": "binary",
    "max_depth": 6,
    "num_leaves": 63,
    "learning_rate": 0.05,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "seed": 42,
    "num_threads": 1,
    "verbose": -1,
}


def main(out):
    path = bench.bank_csv()
    table = pandas.read_csv(path, encoding="utf-8-sig")[list(REQUIRED)].astype(float)
    labels = bench.labels(path).astype(int)

    columns = features(table)
    scaler = StandardScaler().fit(columns)
    scaled = pandas.DataFrame(scaler.transform(columns), columns=columns.columns)
    balanced = SMOTE(random_state=42).fit_resample(scaled, labels)
    model = xgboost.XGBClassifier(**XGBOOST).fit(*balanced)
    pipeline = Pipeline([("scaler", scaler), ("model", model)])
    (out / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))

    rows = lightgbm.Dataset(table.to_numpy(np.float64), labels)
    lightgbm.train(LIGHTGBM, rows, 400).save_model(out / "lean.txt")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
