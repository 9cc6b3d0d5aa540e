"""A search of 50 trials by 5-fold cross-validation, beside Optuna with XGBoost.

`make bench-tuning` builds the Rust side and runs this. Both search the same space of boosted
trees on the training rows for the same objective, on the same cores. Optuna runs at its best
settings: multivariate TPE, as many jobs as cores with one thread each, folds binned once for
all trials, a median pruner told of every fold. It draws the number of trees as it does the other
parameters; ours finds it on the way of one fit. What each found is measured once more, by folds
that neither has seen.

SEEDS=n takes the first n of five seeds, SEED=n that one alone (to measure in pieces), TRIALS=n
fewer trials (for a quick look).
"""

import collections
import json
import os
import sys
import tempfile

import bench
import numpy as np
import optuna
import processor
import xgboost
from bench import Targets, clocked, version
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

BINARY = bench.TARGET / "release/bench-tuning"
SEEDS = range(1, 1 + int(os.environ.get("SEEDS", "5")))
if "SEED" in os.environ:
    SEEDS = [int(os.environ["SEED"])]
TRIALS = int(os.environ.get("TRIALS", "50"))
FOLDS = 5
CORES = min(2, len(os.sched_getaffinity(0)))

OPTUNA = f"Optuna {version('optuna')} + XGBoost {version('xgboost-cpu')}"

Search = collections.namedtuple("Search", "seconds cpu trials pruned parameters")

START = {
    "trees": 400,
    "max_depth": 6,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}
SPACE = {
    "trees": {"kind": "integer", "from": 200, "to": 1500, "scale": "linear"},
    "max_depth": {"kind": "integer", "from": 3, "to": 10, "scale": "linear"},
    "eta": {"kind": "real", "from": 0.01, "to": 0.3, "scale": "log"},
    "subsample": {"kind": "real", "from": 0.5, "to": 1.0, "scale": "linear"},
    "colsample_bytree": {"kind": "real", "from": 0.3, "to": 1.0, "scale": "linear"},
    "min_child_weight": {"kind": "real", "from": 0.1, "to": 20.0, "scale": "log"},
    "gamma": {"kind": "real", "from": 0.0001, "to": 2.0, "scale": "log"},
    "lambda": {"kind": "real", "from": 0.001, "to": 10.0, "scale": "log"},
    "alpha": {"kind": "real", "from": 0.001, "to": 10.0, "scale": "log"},
}


def suggested(trial):
    values = {}
    for name, parameter in SPACE.items():
        log = parameter["scale"] == "log"
        suggest = (
            trial.suggest_int if parameter["kind"] == "integer" else trial.suggest_float
        )
        values[name] = suggest(name, parameter["from"], parameter["to"], log=log)
    return values


def fit(parameters, matrix, threads):
    parameters = dict(parameters)
    trees = parameters.pop("trees")
    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_bin": 256,
        "nthread": threads,
        "seed": 42,
    }
    return xgboost.train(settings | parameters, matrix, trees)


class Folds:
    """Training parts binned once, held-out parts at hand."""

    def __init__(self, x, y, splits):
        self.folds = [
            (
                xgboost.QuantileDMatrix(x[train], label=y[train], max_bin=256),
                xgboost.DMatrix(x[test]),
                y[test],
            )
            for train, test in splits
        ]

    def areas(self, parameters, threads):
        for train, held_out, labels in self.folds:
            yield roc_auc_score(
                labels, fit(parameters, train, threads).predict(held_out)
            )


def search_with_optuna(x, y, seed):
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            seed=seed, multivariate=True, constant_liar=True
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    study.enqueue_trial(
        START
        | {"min_child_weight": 1.0, "gamma": 0.0001, "lambda": 1.0, "alpha": 0.001}
    )

    def work():
        splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)
        folds = Folds(x, y, list(splits))

        def objective(trial):
            areas = []
            for number, area in enumerate(folds.areas(suggested(trial), 1)):
                areas.append(area)
                trial.report(float(np.mean(areas)), number)
                if number + 1 < FOLDS and trial.should_prune():
                    raise optuna.TrialPruned
            return float(np.mean(areas))

        study.optimize(objective, n_trials=TRIALS, n_jobs=CORES)

    seconds, cpu = processor.spent(os.getpid(), clocked(work))
    pruned = sum(
        trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials
    )
    return Search(seconds, cpu, len(study.trials), pruned, study.best_params)


class Judge:
    """Folds that no search has seen: what was found is measured by the same ones."""

    def __init__(self, worker, x, y, file):
        self.worker, self.file = worker, file
        folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=1_000)
        splits = list(folds.split(x, y))
        with open(file, "w", encoding="utf-8") as out:
            json.dump(
                [{"train": a.tolist(), "test": b.tolist()} for a, b in splits], out
            )
        self.folds = Folds(x, y, splits)

    def of_ours(self, parameters):
        answer = self.worker.ask(
            ask="evaluate", parameters=parameters, splits=self.file, threads=CORES
        )
        return float(np.mean(answer["roc_auc"]))

    def of_optuna(self, parameters):
        # One thread: not timed, and two wait for each other on a busy machine.
        return float(np.mean(list(self.folds.areas(parameters, 1))))


def search_with_ours(worker, seed, early_stop):
    wanted = {"space": SPACE, "start": START, "trials": TRIALS, "folds": FOLDS}
    found, cpu = processor.spent(
        worker.process.pid,
        lambda: worker.ask(
            ask="tune", **wanted, seed=seed, workers=CORES, early_stop=early_stop
        ),
    )
    return Search(
        found["seconds"], cpu, found["trials"], found["pruned"], found["parameters"]
    )


def measure(seed, worker, judge, x, y):
    """Three searches one after the other, and what each found is worth."""
    found = {
        "Holdfast": search_with_ours(worker, seed, True),
        "Holdfast, all trials": search_with_ours(worker, seed, False),
        OPTUNA: search_with_optuna(x, y, seed),
    }
    areas = {
        name: (judge.of_optuna if name == OPTUNA else judge.of_ours)(search.parameters)
        for name, search in found.items()
    }
    rows = [
        [
            seed,
            name,
            search.trials,
            search.pruned,
            f"{search.seconds:.1f}",
            f"{search.cpu:.1f}",
            f"{areas[name]:.5f}",
            f"{found[OPTUNA].seconds / search.seconds:.2f}",
            f"{found[OPTUNA].cpu / search.cpu:.2f}",
        ]
        for name, search in found.items()
    ]
    for row in rows:
        print("  ".join(map(str, row)), flush=True)
    return found, areas, rows


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = bench.bank_csv()
    with tempfile.TemporaryDirectory() as directory:
        split = f"{directory}/split.json"
        train, _ = bench.write_split(path, 42, split)
        x, y = bench.codes(path).astype(np.float32)[train], bench.labels(path)[train]
        worker = bench.Worker(BINARY, path, split)
        judge = Judge(worker, x, y, f"{directory}/judge.json")
        measured = [measure(seed, worker, judge, x, y) for seed in SEEDS]
        worker.close()
    title = f"{TRIALS} trials of {FOLDS} folds on {len(y):,} rows, cores: {CORES}"
    header = ["seed", "", "trials", "given up", "s", "CPU s", "ROC-AUC by other folds"]
    header += ["times faster", "by CPU s"]
    bench.table(title, header, [row for *_, rows in measured for row in rows])
    return verdict(measured).exit_code()


def verdict(measured):
    targets = Targets()

    def ratio(name):
        by_seed = [
            found[OPTUNA].seconds / found[name].seconds for found, *_ in measured
        ]
        return float(np.median(by_seed))

    what = "times faster than Optuna with XGBoost (median of the seeds)"
    targets.at_least(what, ratio("Holdfast"), 3)
    without = ratio("Holdfast, all trials")
    print(f"\nwithout our early stop: {without:.2f} times faster")
    gains = [areas["Holdfast"] - areas[OPTUNA] for _, areas, _ in measured]
    error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    print(
        f"ROC-AUC of our optimum less Optuna's: {np.mean(gains):+.5f}, standard error {error:.5f}"
    )
    # Between two trainings with other seeds lies as much: a smaller loss is none.
    what = "gain in ROC-AUC over Optuna's optimum"
    targets.at_least(what, float(np.mean(gains)), -0.0001)
    return targets


if __name__ == "__main__":
    sys.exit(main())
