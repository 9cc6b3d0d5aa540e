"""Quality on the bank's data beside XGBoost, LightGBM, CatBoost and the predecessor's pipeline.

`make bench-quality` builds the Rust side and runs this. Every contender learns from the same
training rows and is judged on the same test rows: the stratified splits s = 1 to 5, and s = 42,
on whose training rows alone parameters were chosen, ours by cross-validation and the peers' by
`tune_peers.py` (`tuned_peers.json`). One thread throughout.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

# Before any library starts a pool.
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"

import bench
import numpy as np
import peers
from bench import Targets, table, version
from scipy import stats
from sklearn import metrics

BINARY = bench.TARGET / "release/bench-quality"
PARAMS = bench.ROOT / "config/params.yaml"
TUNED_ON = 42
SPLITS = (1, 2, 3, 4, 5)
STANDS_FOR = "best"
PRESETS = ("default", STANDS_FOR)
PREDECESSOR = "predecessor's pipeline"
# Measures, and whether more is better.
MEASURES = {
    "ROC-AUC": True,
    "PR-AUC": True,
    "F1": True,
    "log-loss": False,
    "Brier": False,
    "ECE": False,
}


def expected_calibration_error(labels, scores, bins=10):
    """Mean gap between score and rate of leavers, over bins of equal width, by rows."""
    places = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(labels[places == bin].mean() - scores[places == bin].mean())
        * (places == bin).sum()
        for bin in np.unique(places)
    ]
    return sum(gaps) / len(labels)


def judged(labels, scores, threshold=0.5):
    """All measures of scores on labelled rows."""
    return {
        "ROC-AUC": metrics.roc_auc_score(labels, scores),
        "PR-AUC": metrics.average_precision_score(labels, scores),
        "F1": metrics.f1_score(labels, scores >= threshold),
        "log-loss": metrics.log_loss(labels, scores),
        "Brier": metrics.brier_score_loss(labels, scores),
        "ECE": expected_calibration_error(labels, scores),
    }


def delong(labels, first, second):
    """p of equal ROC-AUC of two scorers of the same rows (DeLong et al. 1988), two-sided."""
    leavers, others = np.flatnonzero(labels), np.flatnonzero(~labels)
    wins, losses = [], []
    for scores in (first, second):
        ranks = stats.rankdata(scores)
        among_leavers = stats.rankdata(scores[leavers])
        among_others = stats.rankdata(scores[others])
        wins.append((ranks[leavers] - among_leavers) / len(others))
        losses.append(1 - (ranks[others] - among_others) / len(leavers))
    gap = np.mean(wins[0]) - np.mean(wins[1])
    covariance = np.cov(wins) / len(leavers) + np.cov(losses) / len(others)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if variance <= 0:
        return 1.0
    return 2 * stats.norm.sf(abs(gap) / np.sqrt(variance))


def resampled_t(gaps, test_share=0.2):
    """p of a mean gap of 0 over random splits, two-sided; the variance is corrected for
    training rows that splits share (Nadeau & Bengio 2003)."""
    count = len(gaps)
    variance = np.var(gaps, ddof=1) * (1 / count + test_share / (1 - test_share))
    if variance <= 0:
        return 1.0
    return 2 * stats.t.sf(abs(np.mean(gaps)) / np.sqrt(variance), count - 1)


class Results:
    """Scores of every contender on the test rows of every split."""

    def __init__(self):
        self.labels, self.scores, self.measures, self.costs = {}, {}, {}, {}

    def add(self, name, split, scores, threshold=0.5):
        self.scores[name, split] = np.asarray(scores)
        judgement = judged(self.labels[split], np.asarray(scores), threshold)
        self.measures[name, split] = judgement

    def of(self, name, measure, splits=SPLITS):
        return np.array([self.measures[name, split][measure] for split in splits])

    def mean(self, name, measure):
        return float(self.of(name, measure).mean())


def ours(preset):
    return f"Holdfast {preset}"


def required(preset):
    return f"Holdfast {preset}, required eight"


def measure_split(results, worker, data, directory, split):
    """Fits and judges everyone on one split."""
    file = directory / f"split-{split}.json"
    train, test = bench.write_split(data.path, split, file)
    results.labels[split] = data.labels[test]
    for preset in PRESETS:
        answer = worker.ask(ask="train", preset=preset, split=str(file))
        threshold = answer["threshold"]
        results.add(ours(preset), split, answer["full"], threshold)
        results.add(required(preset), split, answer["required"], threshold)
        results.costs[ours(preset), split] = answer
    for name, fit in peers.contenders(data).items():
        start = time.perf_counter()
        scorer = fit(train)
        seconds = time.perf_counter() - start
        results.add(name, split, scorer(test))
        results.costs[name, split] = {"seconds": seconds}


def print_split(results, title, names, splits):
    header = ["", *MEASURES]
    rows = [
        [name]
        + [f"{results.of(name, measure, splits).mean():.4f}" for measure in MEASURES]
        for name in names
    ]
    table(title, header, rows)


def best_peer(results, names, measure):
    pick = max if MEASURES[measure] else min
    return pick(names, key=lambda name: results.mean(name, measure))


def print_tests(results, peer_names):
    """Whether differences mean anything: on each split, and over the splits."""
    us, rows = ours(STANDS_FOR), []
    for name in peer_names:
        gaps = results.of(us, "ROC-AUC") - results.of(name, "ROC-AUC")
        ps = [
            delong(
                results.labels[split],
                results.scores[us, split],
                results.scores[name, split],
            )
            for split in SPLITS
        ]
        rows.append([name, f"{gaps.mean():+.4f}", *[f"{p:.3f}" for p in ps]])
    header = ["", "mean gap", *[f"s = {split}" for split in SPLITS]]
    table(f"ROC-AUC of {us} less the peer's; p by DeLong on each split", header, rows)
    rows = []
    for measure, more_is_better in MEASURES.items():
        name = best_peer(results, peer_names, measure)
        gaps = results.of(us, measure) - results.of(name, measure)
        better = gaps > 0 if more_is_better else gaps < 0
        row = [measure, name, f"{gaps.mean():+.4f}", f"{better.sum()} of {len(SPLITS)}"]
        rows.append([*row, f"{resampled_t(gaps):.3f}"])
    header = ["measure", "best peer", "mean gap", "splits won", "p"]
    table(f"{us} and the best peer; p by the corrected resampled t", header, rows)


def print_costs(results, peer_names):
    """What averaging costs: medians over the splits."""

    def median(name, what):
        return np.median([results.costs[name, split][what] for split in SPLITS])

    rows = []
    for preset in PRESETS:
        name = ours(preset)
        answer = results.costs[name, SPLITS[0]]
        row = [name, f"{median(name, 'seconds'):.1f}", answer["members"]]
        speeds = [f"{median(name, what):.2f}" for what in ("batch_us", "single_us")]
        rows.append([*row, answer["trees"], *speeds])
    header = [
        "",
        "training s",
        "members",
        "trees",
        "us a row, batch",
        "us a row, alone",
    ]
    table("Cost of averaging, one thread (calibration folds included)", header, rows)
    rows = [[name, f"{median(name, 'seconds'):.1f}"] for name in peer_names]
    table("Training of the peers, one fit, one thread", ["", "training s"], rows)


def check_targets(results, peer_names):
    targets, us, eight = Targets(), ours(STANDS_FOR), required(STANDS_FOR)
    for measure in ("ROC-AUC", "PR-AUC", "log-loss", "Brier"):
        name = best_peer(results, peer_names, measure)
        target, value = results.mean(name, measure), results.mean(us, measure)
        what = f"mean {measure} on full rows, to {name}"
        compare = targets.at_least if MEASURES[measure] else targets.at_most
        compare(what, value, target, digits=5)
    targets.at_most("mean ECE on full rows", results.mean(us, "ECE"), 0.02)
    worst = results.of(eight, "ROC-AUC").min()
    what = "worst ROC-AUC of the required eight on a split"
    targets.at_least(what, worst, 0.99, digits=5)
    targets.at_most("mean ECE of the required eight", results.mean(eight, "ECE"), 0.02)
    for measure in ("ROC-AUC", "PR-AUC", "log-loss", "Brier"):
        gaps = results.of(eight, measure) - results.of(PREDECESSOR, measure)
        gain = gaps.min() if MEASURES[measure] else -gaps.max()
        what = f"least gain in {measure} over {PREDECESSOR} on a split, required eight"
        targets.at_least(what, gain, 0, digits=4)
    return targets.exit_code()


def main():
    data = peers.Bank(bench.bank_csv())
    libraries = ("xgboost-cpu", "lightgbm", "catboost", "scikit-learn")
    print(", ".join(f"{name} {version(name)}" for name in libraries))
    results = Results()
    worker = bench.Worker(BINARY, data.path, PARAMS)
    names = []
    with tempfile.TemporaryDirectory() as directory:
        for split in (TUNED_ON, *SPLITS):
            measure_split(results, worker, data, pathlib.Path(directory), split)
            names = list(dict.fromkeys(name for name, _ in results.scores))
            title = f"Split s = {split}" + (
                ", on whose training rows parameters were chosen"
                if split == TUNED_ON
                else ""
            )
            print_split(results, title, names, [split])
            sys.stdout.flush()
    worker.close()
    save = os.environ.get("BENCH_RESULTS")
    if save:
        kept = {f"{name} {split}": m for (name, split), m in results.measures.items()}
        pathlib.Path(save).write_text(json.dumps(kept, indent=1))
    print_split(results, "Mean of s = 1 to 5", names, SPLITS)
    peer_names = list(peers.contenders(data))
    boosters = [name for name in peer_names if name != PREDECESSOR]
    print_tests(results, peer_names)
    print_costs(results, peer_names)
    return check_targets(results, boosters)


if __name__ == "__main__":
    sys.exit(main())
