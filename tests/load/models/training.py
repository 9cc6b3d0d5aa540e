"""Training 400 trees of depth 6 on the training split, beside XGBoost and LightGBM.

`make bench-training` builds the Rust side and runs this. All start from rows in memory and
end with a model that can score; all grow the same number of trees of the same depth, with
256 bins, on as many cores.
"""

import os
import sys
import tempfile

import bench
import lightgbm
import numpy as np
import processor
import xgboost
from bench import Contender, Targets, clocked, version

BINARY = bench.TARGET / "release/bench-training"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
THREADS = sorted({1, min(2, len(os.sched_getaffinity(0)))})
OURS = "Holdfast"

PARAMETERS = {
    "trees": 400,
    "max_depth": 6,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 1.0,
    "lambda": 1.0,
    "max_bin": 256,
}
XGBOOST = {
    "n_estimators": 400,
    "max_depth": 6,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 1.0,
    "reg_lambda": 1.0,
    "max_bin": 256,
    "tree_method": "hist",
    "random_state": 42,
}
LIGHTGBM = {
    "n_estimators": 400,
    "max_depth": 6,
    "num_leaves": 63,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.8,
    "min_child_weight": 1.0,
    "reg_lambda": 1.0,
    "max_bin": 255,
    "random_state": 42,
    "verbose": -1,
}


class Learner:
    """A library's classifier, fitted anew each time."""

    def __init__(self, make, x, y, test):
        self.make, self.x, self.y, self.test = make, x, y, test
        self.area = self.processor = None

    def measure(self):
        from sklearn.metrics import roc_auc_score

        model = self.make()
        fit = clocked(lambda: model.fit(self.x, self.y))
        seconds, self.processor = processor.spent(os.getpid(), fit)
        x, y = self.test
        self.area = roc_auc_score(y, model.predict_proba(x)[:, 1])
        return seconds


class Ours:
    """The same by Holdfast's worker."""

    def __init__(self, worker, threads):
        self.worker, self.threads = worker, threads
        self.area = self.processor = None

    def measure(self):
        fit, self.processor = processor.spent(
            self.worker.process.pid,
            lambda: self.worker.ask(
                ask="fit", parameters=PARAMETERS, threads=self.threads
            ),
        )
        self.area = fit["roc_auc"]
        return fit["seconds"]


def compare(threads, worker, x, y, test, targets):
    learners = {
        OURS: ("hessboost, the trainer of the service", Ours(worker, threads)),
        f"XGBoost {version('xgboost-cpu')}": (
            "XGBClassifier, hist, codes",
            Learner(
                lambda: xgboost.XGBClassifier(**XGBOOST, n_jobs=threads), x, y, test
            ),
        ),
        f"LightGBM {version('lightgbm')}": (
            "LGBMClassifier, 63 leaves, codes",
            Learner(
                lambda: lightgbm.LGBMClassifier(**LIGHTGBM, n_jobs=threads), x, y, test
            ),
        ),
    }
    contenders = [
        Contender(name, settings, 1, learner.measure)
        for name, (settings, learner) in learners.items()
    ]
    bench.in_turn(contenders, ROUNDS)
    ours = contenders[0]
    rows = [
        [
            contender.name,
            contender.settings,
            f"{contender.best():.3f}",
            f"{contender.median():.3f}",
            f"{learners[contender.name][1].processor:.2f}",
            f"{learners[contender.name][1].area:.4f}",
            f"{contender.median() / ours.median():.2f}",
        ]
        for contender in contenders
    ]
    title = f"400 trees of depth 6 on {len(y):,} rows, threads: {threads}"
    header = ["", "settings", "best s", "median s", "last CPU s", "ROC-AUC"]
    bench.table(title, [*header, "times ours"], rows)
    xgb = contenders[1]
    what = f"XGBoost's time over ours, threads: {threads}"
    targets.at_least(what, xgb.median() / ours.median(), 1)


def main():
    path = bench.bank_csv()
    targets = Targets()
    with tempfile.TemporaryDirectory() as directory:
        split = f"{directory}/split.json"
        train, test = bench.write_split(path, 42, split)
        x, y = bench.codes(path).astype(np.float32), bench.labels(path)
        worker = bench.Worker(BINARY, path, split)
        for threads in THREADS:
            compare(threads, worker, x[train], y[train], (x[test], y[test]), targets)
        worker.close()
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
