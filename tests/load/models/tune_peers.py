"""Finds the peers' tuned parameters and writes `tuned_peers.json`; takes hours.

50 trials of Optuna's TPE each, by the mean ROC-AUC of five stratified folds of the training
rows of s = 42. No test row of any split is looked at.
"""

import json
import sys

import bench
import optuna
import peers
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

SEED = 42
TRIALS = 50


def xgboost_space(trial):
    return {
        "n_estimators": trial.suggest_int("n_estimators", 200, 1500),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 20, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-3, 10, log=True),
        "gamma": trial.suggest_float("gamma", 1e-4, 2, log=True),
    }


def lightgbm_space(trial):
    return {
        "n_estimators": trial.suggest_int("n_estimators", 200, 1500),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 7, 127),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        "subsample": trial.suggest_float("subsample", 0.5, 1),
        "subsample_freq": 1,
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-3, 10, log=True),
    }


def catboost_space(trial):
    return {
        "iterations": trial.suggest_int("iterations", 300, 1500),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "depth": trial.suggest_int("depth", 4, 8),
        "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 1, 10, log=True),
        "random_strength": trial.suggest_float("random_strength", 0.1, 10, log=True),
        "bagging_temperature": trial.suggest_float("bagging_temperature", 0, 1),
    }


SPACES = {
    "XGBoost": xgboost_space,
    "LightGBM": lightgbm_space,
    "CatBoost": catboost_space,
}


def tuned(kind, data):
    """The best parameters of one library, and their score."""
    train, _ = bench.split(data.path, SEED)
    parts = StratifiedKFold(5, shuffle=True, random_state=SEED)
    splits = parts.split(train, data.labels[train])
    folds = [(train[inside], train[held]) for inside, held in splits]
    space = SPACES[kind]

    def objective(trial):
        fit = peers.booster(kind, data, space(trial))
        return peers.cross_validated(fit, data.labels, folds, roc_auc_score)

    sampler = optuna.samplers.TPESampler(seed=SEED)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=TRIALS)
    return space(optuna.trial.FixedTrial(study.best_params)), study.best_value


def main():
    data = peers.Bank(bench.bank_csv())
    found = {kind: tuned(kind, data) for kind in SPACES}
    document = {
        "how": "tune_peers.py: 50 trials of Optuna's TPE (seed 42) by the mean ROC-AUC of five "
        "stratified folds of the training rows of s = 42",
        "roc_auc_of_folds": {kind: score for kind, (_, score) in found.items()},
        "parameters": {kind: parameters for kind, (parameters, _) in found.items()},
    }
    peers.TUNED.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
