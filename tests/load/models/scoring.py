"""Scoring and TreeSHAP of a 400-tree model of depth 6 on one core, beside the other libraries.

`make bench-scoring` builds the Rust side and runs this. XGBoost, ONNX Runtime, Treelite and
tl2cgen run the very trees that Holdfast runs (trained by hessboost, handed over as XGBoost
JSON); LightGBM grows its own on the same rows with the same parameters.
"""

import ctypes
import os
import pathlib
import sys
import tempfile

# One core each, before any library starts a pool.
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
CORE = int(os.environ.get("BENCH_CORE", max(os.sched_getaffinity(0))))

import bench
import lightgbm
import numpy as np
import onnxruntime
import tl2cgen
import treelite
import xgboost
from bench import LIGHTGBM, Contender, Targets, clocked, version

BINARY = bench.TARGET / "release/bench-scoring"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SINGLE_CALLS = 500
BATCHES = (2_000, 10_000, 100_000)
EXPLAINED = 2_000
OURS = "Holdfast"
HESSBOOST = "hessboost 0.4.6"
LIGHTGBM_PREDICT = "Booster.predict, numpy row"
LIGHTGBM_FAST = "LGBM_BoosterPredictForMatSingleRowFast by ctypes"


class LightGbmFast:
    """LightGBM's C call for one row after the other, without Python's wrapping."""

    def __init__(self, booster, columns):
        from lightgbm.basic import _LIB, _safe_call

        self.lib, self.check = _LIB, _safe_call
        self.config = ctypes.c_void_p()
        self.out = (ctypes.c_double * 1)()
        self.length = ctypes.c_int64()
        handle = getattr(booster, "_handle", None) or booster.handle
        self.check(
            self.lib.LGBM_BoosterPredictForMatSingleRowFastInit(
                handle,
                ctypes.c_int(0),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(1),
                ctypes.c_int32(columns),
                ctypes.c_char_p(b"num_threads=1"),
                ctypes.byref(self.config),
            )
        )

    def measure(self, rows):
        call = self.lib.LGBM_BoosterPredictForMatSingleRowFast
        pointers = [row.ctypes.data_as(ctypes.c_void_p) for row in rows]
        length = ctypes.byref(self.length)

        def work():
            for pointer in pointers:
                call(self.config, pointer, length, self.out)

        return clocked(work)


class Models:
    """The peers, ready to run, and the rows they run on."""

    def __init__(self, directory):
        def load(name):
            return np.load(directory / f"{name}.npy")

        self.rows = load("all")
        self.xgboost = xgboost.Booster(
            {"nthread": 1}, model_file=str(directory / "model.json")
        )
        train = lightgbm.Dataset(load("train"), load("train_labels").ravel())
        self.lightgbm = lightgbm.train(LIGHTGBM, train, 400)
        self.columns = self.rows.shape[1]
        self.onnx_xgboost, self.onnx_lightgbm = self._onnx()
        self.treelite = treelite.frontend.from_xgboost(self.xgboost)
        self.tl2cgen = self._compiled(directory)

    def _onnx(self):
        from onnxmltools import convert_lightgbm, convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        inputs = [("rows", FloatTensorType([None, self.columns]))]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        models = (
            convert_xgboost(self.xgboost, initial_types=inputs),
            convert_lightgbm(self.lightgbm, initial_types=inputs, zipmap=False),
        )
        return [
            onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            for model in models
        ]

    def _compiled(self, directory):
        library = directory / "trees.so"
        data = tl2cgen.DMatrix(self.rows)
        counts = directory / "counts.json"
        tl2cgen.annotate_branch(self.treelite, data, path=counts, nthread=1)
        tl2cgen.export_lib(
            self.treelite,
            toolchain="gcc",
            libpath=library,
            params={"annotate_in": str(counts), "quantize": 1, "parallel_comp": 40},
            options=["-O3", "-march=native"],
            nthread=2,
        )
        return tl2cgen.Predictor(library, nthread=1)


def tiled(rows, count):
    return np.resize(rows, (count, rows.shape[1]))


def onnx(session, rows):
    return lambda: session.run(None, {"rows": rows})


def single_calls(models, worker):
    """One row a call, through each library's calls for it."""
    rows32 = [np.ascontiguousarray(row[None]) for row in models.rows[:SINGLE_CALLS]]
    rows64 = [row.astype(np.float64) for row in rows32]
    compiled = [tl2cgen.DMatrix(row) for row in rows32]

    def each(call, arguments):
        def work():
            for argument in arguments:
                call(argument)

        return clocked(work)

    def contender(name, settings, call, arguments):
        return Contender(name, settings, SINGLE_CALLS, each(call, arguments))

    def asked(name, settings, what, rows=5_000):
        return Contender(name, settings, rows, lambda: worker.ask(ask=what, rows=rows))

    lgb, xgb = models.lightgbm, models.xgboost
    fast = LightGbmFast(lgb, models.columns)
    return [
        asked(OURS, "Model::score: preprocessing, trees, calibration", "single"),
        asked(HESSBOOST, "predict_row", "hessboost_single"),
        contender(
            f"XGBoost {version('xgboost-cpu')}",
            "inplace_predict, numpy row",
            xgb.inplace_predict,
            rows32,
        ),
        contender(
            f"XGBoost {version('xgboost-cpu')}",
            "predict, DMatrix built in the call",
            lambda row: xgb.predict(xgboost.DMatrix(row, nthread=1)),
            rows32,
        ),
        contender(
            f"LightGBM {version('lightgbm')}",
            LIGHTGBM_PREDICT,
            lambda row: lgb.predict(row, num_threads=1),
            rows64,
        ),
        Contender(
            f"LightGBM {version('lightgbm')}",
            LIGHTGBM_FAST,
            SINGLE_CALLS,
            fast.measure(rows64),
        ),
        contender(
            f"ONNX Runtime {version('onnxruntime')}",
            "XGBoost's trees, 1 thread",
            lambda row: models.onnx_xgboost.run(None, {"rows": row}),
            rows32,
        ),
        contender(
            f"Treelite {version('treelite')} GTIL",
            "1 thread",
            lambda row: treelite.gtil.predict(models.treelite, row, nthread=1),
            rows32,
        ),
        contender(
            f"tl2cgen {version('tl2cgen')}",
            "gcc -O3 -march=native, quantize, annotated",
            models.tl2cgen.predict,
            compiled,
        ),
    ]


def batch_calls(models, worker, count):
    """`count` rows a call.

    XGBoost remembers what it predicted for a DMatrix, so that each measurement takes a new one.
    """
    rows = tiled(models.rows, count)
    rows64 = rows.astype(np.float64)
    compiled = tl2cgen.DMatrix(rows)
    lgb, xgb = models.lightgbm, models.xgboost

    def contender(name, settings, work):
        return Contender(name, settings, count, clocked(work))

    def asked(name, settings, what):
        return Contender(
            name, settings, count, lambda: worker.ask(ask=what, rows=count)
        )

    return [
        asked(OURS, "Model::score_batch: preprocessing, trees, calibration", "batch"),
        asked(HESSBOOST, "predict_rows", "hessboost_batch"),
        contender(
            f"XGBoost {version('xgboost-cpu')}",
            "inplace_predict, float32",
            lambda: xgb.inplace_predict(rows),
        ),
        Contender(
            f"XGBoost {version('xgboost-cpu')}",
            "predict, DMatrix built beforehand",
            count,
            clocked(xgb.predict, lambda: xgboost.DMatrix(rows, nthread=1)),
        ),
        contender(
            f"LightGBM {version('lightgbm')}",
            "Booster.predict, float64",
            lambda: lgb.predict(rows64, num_threads=1),
        ),
        contender(
            f"ONNX Runtime {version('onnxruntime')}",
            "XGBoost's trees, 1 thread",
            onnx(models.onnx_xgboost, rows),
        ),
        contender(
            f"ONNX Runtime {version('onnxruntime')}",
            "LightGBM's trees, 1 thread",
            onnx(models.onnx_lightgbm, rows),
        ),
        contender(
            f"Treelite {version('treelite')} GTIL",
            "1 thread",
            lambda: treelite.gtil.predict(models.treelite, rows, nthread=1),
        ),
        contender(
            f"tl2cgen {version('tl2cgen')}",
            "gcc -O3 -march=native, quantize, annotated",
            lambda: models.tl2cgen.predict(compiled),
        ),
    ]


def explain_calls(models, worker):
    """TreeSHAP of EXPLAINED rows."""
    rows = models.rows[:EXPLAINED]
    matrix = xgboost.DMatrix(rows, nthread=1)
    rows64 = rows.astype(np.float64)
    lgb, xgb = models.lightgbm, models.xgboost

    def asked(name, settings, what):
        return Contender(
            name, settings, EXPLAINED, lambda: worker.ask(ask=what, rows=EXPLAINED)
        )

    return [
        asked(OURS, "Model::explain_batch", "explain"),
        asked(OURS, "Model::explain, row by row", "explain_single"),
        asked(HESSBOOST, "predict_contribs", "hessboost_explain"),
        Contender(
            f"XGBoost {version('xgboost-cpu')}",
            "predict(pred_contribs=True), prebuilt DMatrix",
            EXPLAINED,
            clocked(lambda: xgb.predict(matrix, pred_contribs=True)),
        ),
        Contender(
            f"LightGBM {version('lightgbm')}",
            "predict(pred_contrib=True)",
            EXPLAINED,
            clocked(lambda: lgb.predict(rows64, pred_contrib=True, num_threads=1)),
        ),
    ]


def report(title, contenders):
    """Prints a table, slowest last; the ratio is to ours."""
    ours = contenders[0].best()
    rows = [
        [
            contender.name,
            contender.settings,
            f"{contender.best() * 1e6:,.2f}",
            f"{contender.median() * 1e6:,.2f}",
            f"{1 / contender.best():,.0f}",
            f"{contender.best() / ours:,.1f}x",
        ]
        for contender in sorted(contenders, key=Contender.best)
    ]
    header = ["library", "call", "best us/row", "median us/row", "best rows/s", "ours"]
    bench.table(title, header, rows)


def fastest(contenders, *names):
    """The least time a unit of the contenders whose name starts so, in units of ours."""
    chosen = [c.best() for c in contenders if c.name.startswith(names)]
    return min(chosen) / contenders[0].best()


def agreement(models, directory, targets):
    """That the peers compute what we compute: the same trees, the same numbers."""
    matrix = xgboost.DMatrix(models.rows, nthread=1)
    # XGBoost adds its leaves up in 32 bits, Holdfast in 64.
    margins = np.load(directory / "margins.npy").ravel().astype(np.float64)
    ours = 1 / (1 + np.exp(-margins))
    gap = np.abs(models.xgboost.predict(matrix) - ours).max()
    targets.at_most("largest difference to XGBoost's probability", gap, 1e-6)
    part = xgboost.DMatrix(models.rows[:EXPLAINED], nthread=1)
    contributions = models.xgboost.predict(part, pred_contribs=True)[:, :-1]
    gap = np.abs(contributions - np.load(directory / "contributions.npy")).max()
    targets.at_most("largest difference to XGBoost's contributions", gap, 1e-5)


def main():
    targets = Targets()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        bank = bench.bank_csv()
        bench.write_split(bank, 42, directory / "split.json")
        worker = bench.Worker(BINARY, bank, directory / "split.json", directory)
        shape = worker.ask(ask="describe")
        print(
            f"{shape['trees']} trees, {shape['leaves']:,} leaves, artefact "
            f"{shape['artifact_bytes'] / 1e6:.2f} MB, decoded and packed in "
            f"{shape['decode_seconds'] * 1e3:.1f} ms; core {CORE}, {ROUNDS} rounds"
        )
        # Compiling may use all cores, measuring one.
        models = Models(directory)
        for process in (0, worker.process.pid):
            os.sched_setaffinity(process, {CORE})

        single = single_calls(models, worker)
        # One of these rounds is over in no time, and a moment's disturbance spoils it.
        bench.in_turn(single, 5 * ROUNDS)
        report("One row a call", single)
        for call in (LIGHTGBM_PREDICT, LIGHTGBM_FAST):
            ratio = fastest(
                [c for c in single if c.settings == call or c.name == OURS], "LightGBM"
            )
            targets.at_least(f"one row, to LightGBM's {call}", ratio, 20, "x")
        targets.at_least(
            "one row, to XGBoost's best", fastest(single, "XGBoost"), 80, "x"
        )

        peers = ("XGBoost", "LightGBM", "ONNX", "Treelite", "tl2cgen")
        for count in BATCHES:
            batch = batch_calls(models, worker, count)
            bench.in_turn(batch, ROUNDS if count < 50_000 else max(ROUNDS // 2, 1))
            report(f"Batches of {count:,} rows", batch)
            best, hess = fastest(batch, *peers), fastest(batch, HESSBOOST)
            targets.at_least(f"{count:,} rows, to the best peer", best, 3, "x")
            targets.at_least(f"{count:,} rows, to hessboost", hess, 1, "x")

        explained = explain_calls(models, worker)
        bench.in_turn(explained, max(ROUNDS // 2, 1))
        report(f"TreeSHAP of {EXPLAINED:,} rows", explained)
        ratio = fastest(explained, "XGBoost")
        targets.at_least("TreeSHAP, to XGBoost's pred_contribs", ratio, 1, "x")
        targets.at_most(
            "largest gap between contributions and margin",
            worker.ask(ask="additivity", rows=EXPLAINED),
            1e-6,
        )
        agreement(models, directory, targets)
        worker.close()
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
