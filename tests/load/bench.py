"""What the benchmarks share: the data, splits, timing in turn, tables and targets.

A benchmark lists contenders, measures them in turn round after round, so that a slow
moment of the machine meets all of them, prints what each took beside its version and
settings, and says of every target whether it was met.
"""

import csv
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where cargo puts what it builds.
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

# LightGBM's side of the 400-tree model, with the parameters of the other one.
LIGHTGBM = {
    "objective": "binary",
    "max_depth": 6,
    "num_leaves": 63,
    "learning_rate": 0.05,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "min_sum_hessian_in_leaf": 1.0,
    "lambda_l2": 1.0,
    "seed": 42,
    "num_threads": 1,
    "verbose": -1,
}


def bank_csv():
    """Path of the bank's file: BANK_CSV, or ../shared/data beside the source tree."""
    named = os.environ.get("BANK_CSV")
    path = pathlib.Path(named or ROOT / "../shared/data/BankChurners.csv").resolve()
    if not path.is_file():
        sys.exit(f"the bank's file is missing: {path} (set BANK_CSV)")
    return path


def labels(path):
    """1 for customers who left, in the file's row order."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        return np.array([row["Attrition_Flag"] == "Attrited Customer" for row in rows])


def codes(path):
    """The 19 features, one row a customer; a category is its place in config/schema.yaml."""
    import yaml

    with open(ROOT / "config/schema.yaml", encoding="utf-8") as file:
        columns = yaml.safe_load(file)["columns"]
    places = {
        column["name"]: {
            name: place for place, name in enumerate(column.get("categories", []))
        }
        for column in columns
    }
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    table = [
        [
            places[name].get(row[name]) if places[name] else float(row[name])
            for name in places
        ]
        for row in rows
    ]
    return np.array(table, dtype=float)


def split(path, seed):
    """Training and test rows of one of the stratified splits."""
    from sklearn.model_selection import train_test_split

    y = labels(path)
    rows = np.arange(len(y))
    return train_test_split(rows, test_size=0.2, stratify=y, random_state=seed)


def write_split(path, seed, file):
    """The same split for the Rust side (`holdfast_load::bank::split`)."""
    train, test = split(path, seed)
    rows = {"train": train.tolist(), "test": test.tolist()}
    pathlib.Path(file).write_text(json.dumps(rows))
    return train, test


def version(package):
    return importlib.metadata.version(package)


class Worker:
    """A binary of `holdfast-load` that answers a line of JSON with a line of JSON."""

    def __init__(self, binary, *arguments):
        command = [str(binary), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended: {self.process.wait()}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Contender:
    """One thing to measure: `measure()` gives the seconds that `units` units took."""

    def __init__(self, name, settings, units, measure):
        self.name, self.settings = name, settings
        self.units, self.measure = units, measure
        self.samples = []

    def best(self):
        """Seconds a unit, in the best round: what the others of the machine disturb least."""
        return min(self.samples) / self.units

    def median(self):
        return float(np.median(self.samples)) / self.units


def clocked(work, prepare=None):
    """A measure of the seconds that `work` takes; it is given what `prepare` makes before the clock starts."""

    def measure():
        prepared = () if prepare is None else (prepare(),)
        start = time.perf_counter()
        work(*prepared)
        return time.perf_counter() - start

    return measure


def in_turn(contenders, rounds):
    """Measures all contenders once a round; every other round runs backwards."""
    for contender in contenders:
        contender.measure()
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            contender.samples.append(contender.measure())


def table(title, header, rows):
    """Prints rows under a header; columns of numbers and ratios are right-aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [
        all(cell.lstrip("-<")[:1].isdigit() and " " not in cell for cell in column[1:])
        for column in columns
    ]
    print(f"\n{title}")
    for line in [cells[0], ["-" * width for width in widths], *cells[1:]]:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  " + "  ".join(aligned).rstrip())


class Targets:
    """What a benchmark must show, collected to be printed at its end."""

    def __init__(self):
        self.lines = []
        self.missed = 0

    def at_least(self, what, value, target, unit="", digits=3):
        rule = f"at least {target:.{digits}g}{unit}"
        self._add(what, f"{value:.{digits}g}{unit}", rule, value >= target)

    def at_most(self, what, value, target, unit="", digits=3):
        rule = f"at most {target:.{digits}g}{unit}"
        self._add(what, f"{value:.{digits}g}{unit}", rule, value <= target)

    def _add(self, what, value, rule, met):
        self.missed += not met
        word = "met    " if met else "NOT MET"
        self.lines.append(f"  {word}  {what}: {value} ({rule})")

    def exit_code(self):
        """Prints the targets; 1 when one was missed."""
        print("\nTargets")
        print("\n".join(self.lines))
        return 1 if self.missed else 0
