"""Batch scoring of a whole table, Parquet to Parquet, beside XGBoost's and LightGBM's batch predict.

`make bench-batch` builds the Rust side and runs this. The model is the 400-tree model of
`make bench-scoring`: XGBoost runs the very trees that Holdfast runs, LightGBM grows its own on the
same rows with the same parameters. The table is simulated and made once, chunk by chunk.

`holdfast score` reads, checks, scores and writes files; the peers are measured on arrays that
are in memory, and Parquet to Parquet by pyarrow in batches. All use the same cores.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

CORES = int(os.environ.get("BENCH_CORES", len(os.sched_getaffinity(0))))
os.environ["OMP_NUM_THREADS"] = str(CORES)

import bench
import lightgbm
import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import xgboost
from bench import LIGHTGBM, Contender, Targets, clocked, version

BIN = bench.TARGET / "release"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ROWS = int(os.environ.get("BENCH_ROWS", "10_000_000"))
# The contenders are compared on a part: LightGBM alone would take minutes on all rows.
COMPARED = min(ROWS, int(os.environ.get("BENCH_COMPARED_ROWS", "1_000_000")))
BATCH_ROWS = 131_072
MEMORY_MB = 500
# Of a probability that comes from a sum of 400 singles, each rounded to 24 bits.
SINGLE_PRECISION = 1e-6


class Holdfast:
    """`holdfast score` as a process, measured from outside."""

    def __init__(self, directory):
        self.directory = directory
        self.peak_mb = 0.0

    def score(self, source, reasons, *more):
        """Seconds that the process took; its peak memory is kept."""
        out = self.directory / "scores.parquet"
        command = [BIN / "holdfast", "score", "--json", "--threads", CORES]
        command += ["--model-file", self.directory / "model.hfm", "--version", 1]
        command += ["--source", source, "--out", out, "--reasons", reasons, *more]
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, text=True
        )
        peaks = [0]
        watch = threading.Thread(target=watch_memory, args=(process.pid, peaks))
        watch.start()
        said = process.stdout.read()
        process.wait()
        seconds = time.perf_counter() - start
        watch.join()
        if process.returncode:
            sys.exit(f"holdfast score ended with {process.returncode}: {said}")
        self.peak_mb = max(peaks) / 1024
        self.said = json.loads(said)
        return seconds


def watch_memory(process, peaks):
    """Collects the largest resident size of a process, in kB, until it has ended.

    What wait4 says of a child is never less than what this process had when it was started.
    """
    status = pathlib.Path(f"/proc/{process}/status")
    with contextlib.suppress(OSError):
        while found := re.search(r"VmHWM:\s+(\d+)", status.read_text()):
            peaks.append(int(found[1]))
            time.sleep(0.01)


def places():
    """The code of each category, by column: its place in config/schema.yaml."""
    import yaml

    with open(bench.ROOT / "config/schema.yaml", encoding="utf-8") as file:
        columns = yaml.safe_load(file)["columns"]
    return {column["name"]: column.get("categories", []) for column in columns}


def matrix(batch, columns, dtype=np.float32):
    """A batch as the peers take it: one row a customer, categories by code, NaN where a value is missing."""
    out = np.empty((batch.num_rows, len(columns)), dtype)
    for place, (name, categories) in enumerate(columns.items()):
        column = batch.column(name)
        if categories:
            codes = pyarrow.compute.index_in(
                column, value_set=pyarrow.array(categories)
            )
            column = codes.cast(pyarrow.float64())
        out[:, place] = column.to_numpy(zero_copy_only=False)
    return out


def parquet_to_parquet(source, out, columns, predict, dtype):
    """What a script of a peer's user does: batch by batch, nothing checked, no label, no reasons."""
    with pyarrow.parquet.ParquetFile(source) as file:
        schema = pyarrow.schema(
            [("CLIENTNUM", pyarrow.int64()), ("probability", pyarrow.float64())]
        )
        with pyarrow.parquet.ParquetWriter(out, schema, compression="zstd") as writer:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                scores = pyarrow.array(
                    predict(matrix(batch, columns, dtype)).astype(np.float64)
                )
                table = pyarrow.table(
                    [batch.column("CLIENTNUM"), scores], schema=schema
                )
                writer.write_table(table)


def models(directory):
    """The peers' models; `bench-scoring` trains ours and hands its trees over."""
    bank = bench.bank_csv()
    bench.write_split(bank, 42, directory / "split.json")
    worker = bench.Worker(
        BIN / "bench-scoring", bank, directory / "split.json", directory
    )
    shape = worker.ask(ask="describe")
    worker.close()
    booster = xgboost.Booster(
        {"nthread": CORES}, model_file=str(directory / "model.json")
    )
    train, labels = (
        np.load(directory / f"{name}.npy") for name in ("train", "train_labels")
    )
    parameters = LIGHTGBM | {"num_threads": CORES}
    light = lightgbm.train(parameters, lightgbm.Dataset(train, labels.ravel()), 400)
    return shape, booster, light


def contenders(directory, source, ours, booster, light, columns):
    with pyarrow.parquet.ParquetFile(source) as file:
        rows = matrix(file.read().combine_chunks().to_batches()[0], columns)
    rows64 = rows.astype(np.float64)
    out = directory / "peer.parquet"
    xgb, lgb = f"XGBoost {version('xgboost-cpu')}", f"LightGBM {version('lightgbm')}"

    def light_predict(batch):
        return light.predict(batch, num_threads=CORES)

    def files(predict, dtype):
        return clocked(lambda: parquet_to_parquet(source, out, columns, predict, dtype))

    def own(reasons):
        return lambda: ours.score(source, reasons)

    scored = "Parquet to Parquet"
    by_pyarrow = f"{scored} by pyarrow {version('pyarrow')}"
    listed = [
        ("Holdfast", f"{scored}, checked, no reasons", own(0)),
        ("Holdfast", f"{scored}, checked, 3 reasons a row", own(3)),
        (
            xgb,
            "inplace_predict, float32 in memory",
            clocked(lambda: booster.inplace_predict(rows)),
        ),
        (
            xgb,
            "predict, DMatrix built beforehand",
            clocked(booster.predict, lambda: xgboost.DMatrix(rows, nthread=CORES)),
        ),
        (
            lgb,
            "Booster.predict, float64 in memory",
            clocked(lambda: light_predict(rows64)),
        ),
        (xgb, by_pyarrow, files(booster.inplace_predict, np.float32)),
        (lgb, by_pyarrow, files(light_predict, np.float64)),
    ]
    return rows, [
        Contender(name, call, len(rows), measure) for name, call, measure in listed
    ]


def disagreement(ours, theirs):
    """Our probabilities are calibrated, by a rising function: XGBoost's order must be ours.

    But where its sums, of single precision, cannot tell rows apart that ours can.
    """
    ordered = ours[np.argsort(theirs, kind="stable")]
    behind = np.maximum.accumulate(ordered) - ordered
    return float(np.mean(behind > SINGLE_PRECISION))


def report(measured):
    ours = measured[0].best()
    rows = [
        [
            contender.name,
            contender.settings,
            f"{1 / contender.best():,.0f}",
            f"{1 / contender.median():,.0f}",
            f"{contender.best() / ours:,.2f}x",
        ]
        for contender in sorted(measured, key=Contender.best)
    ]
    header = ["scorer", "call", "best rows/s", "median rows/s", "ours is faster by"]
    bench.table(f"{COMPARED:,} rows, {CORES} cores", header, rows)


def main():
    targets = Targets()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        directory = pathlib.Path(name)
        shape, booster, light = models(directory)
        print(
            f"{shape['trees']} trees, {shape['leaves']:,} leaves; {CORES} cores, {ROUNDS} rounds"
        )
        whole, part = directory / "rows.parquet", directory / "part.parquet"
        for rows, path in ((ROWS, whole), (COMPARED, part)):
            subprocess.run([BIN / "bench-batch-rows", str(rows), path], check=True)
        print(
            f"{ROWS:,} simulated customers, {whole.stat().st_size / 1e6:,.0f} MB of Parquet"
        )

        ours = Holdfast(directory)
        rows, measured = contenders(directory, part, ours, booster, light, places())
        bench.in_turn(measured, ROUNDS)
        report(measured)

        ours.score(part, 0)
        scores = pyarrow.parquet.read_table(directory / "scores.parquet")
        targets.at_most(
            "share of rows in another order than XGBoost's",
            disagreement(
                scores["probability"].to_numpy(), booster.inplace_predict(rows)
            ),
            1e-3,
        )

        seconds = ours.score(whole, 0)
        print(
            f"\n{ROWS:,} rows without reasons: {ROWS / seconds:,.0f} rows/s, peak memory {ours.peak_mb:,.0f} MB"
        )
        targets.at_most(f"peak memory of {ROWS:,} rows", ours.peak_mb, MEMORY_MB, " MB")
        explained = int(os.environ.get("BENCH_EXPLAINED_ROWS", COMPARED))
        source = whole if explained == ROWS else part
        seconds = ours.score(source, 3)
        explained = ours.said["rows"]
        print(
            f"{explained:,} rows with 3 reasons: {explained / seconds:,.0f} rows/s, peak memory {ours.peak_mb:,.0f} MB"
        )
        targets.at_most(
            f"peak memory of {explained:,} rows with reasons",
            ours.peak_mb,
            MEMORY_MB,
            " MB",
        )
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
