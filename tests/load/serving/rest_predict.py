"""REST `/predict` beside an axum handler that does nothing and beside Python's servers.

`make bench-rest` builds the Rust side and runs this. Against axum, server and load have a
core each; against Python, everybody shares both. All of ours serve a model of 400 trees of
depth 6 with validation and the full prediction log.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench
import load
import servers
from servers import Server

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
COLD_STARTS = 5
CONNECTIONS = 16
# Beside Python. A server counts at the load that suits it best.
LOADS = (CONNECTIONS, 8 * CONNECTIONS)
# Batches at once, likewise.
BATCHES = (2, 8)
BATCH_RECORDS = 10_000
PEERS = pathlib.Path(__file__).with_name("peers")
# Where the peers' programs find each other and what the benchmarks share.
PYTHON_PATH = os.pathsep.join(map(str, (PEERS, PEERS.parents[1])))
BATCH_METHOD = "/holdfast.inference.v1.InferenceService/PredictBatch"
ONE_PROCESS, TWO_PROCESSES = "Holdfast, one process", "Holdfast, two processes"
PIPELINE, LEAN = "FastAPI, pandas, XGBoost", "bare ASGI, LightGBM"


def asked(file, connections=CONNECTIONS, path="/predict"):
    return {"ask": "rest", "path": path, "file": file, "connections": connections}


class Directory:
    """Models and requests; and copies of it that a server starts from."""

    def __init__(self, stack):
        self.path = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.copies = 0

    def copy(self):
        """A data directory with nothing but the champion."""
        self.copies += 1
        copy = self.path / f"data-{self.copies}"
        shutil.copytree(self.path / "blobs", copy / "blobs")
        return copy


def uvicorn(app, workers, directory, cores):
    """A Python server at its best settings."""
    port = servers.free_port()
    environment = {
        "MODEL_DIR": str(directory.path),
        "PYTHONPATH": PYTHON_PATH,
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
        **servers.TWO_HEAPS,
    }
    command = [sys.executable, "-m", "uvicorn", f"{app}:app", "--port", str(port)]
    command += ["--workers", str(workers), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--lifespan", "off"]
    return Server(command, cores, address=f"127.0.0.1:{port}", env=environment)


def two_processes(directory, cores, stack):
    """A gateway before a replica; what it weighs is both."""
    replica = servers.inference(directory.copy(), cores)
    stack.callback(replica.close)
    gateway = servers.gateway(replica.address, directory.path, cores)
    stack.callback(gateway.close)
    both = (gateway.memory_mb, replica.memory_mb)
    used = (gateway.processor_seconds, replica.processor_seconds)
    gateway.memory_mb = lambda: sum(memory() for memory in both)
    gateway.processor_seconds = lambda: sum(seconds() for seconds in used)
    return gateway


def against_axum(worker, directory, targets):
    server_core, load_core = load.pinned()
    os.sched_setaffinity(worker.process.pid, load_core)
    with contextlib.ExitStack() as stack:
        ours = servers.serving_node(directory.copy(), server_core)
        stack.callback(ours.close)
        peer = servers.noop(["rest"], server_core)
        stack.callback(peer.close)
        wait(ours, directory, "full")
        for file in ("full.json", "required.json"):
            for connections in (CONNECTIONS, 4 * CONNECTIONS):
                what = (
                    f"{file.removesuffix('.json')} records, {connections} connections"
                )
                request = asked(file, connections)
                pair = [
                    load.Contender(ONE_PROCESS, "/predict, full log", ours, **request),
                    load.Contender("axum", "no-op, parses the record", peer, **request),
                ]
                load.in_turn(pair, worker, ROUNDS, SECONDS)
                rows = [load.row(contender) for contender in pair]
                bench.table(f"Beside axum: {what}; a core each", load.HEADER, rows)
                ratio = pair[0].per_second() / pair[1].per_second()
                targets.at_least(f"{what}: req/s, to the no-op's", ratio, 0.6, "x")


def wait(server, directory, rows="required"):
    """Waits for the first good answer; seconds from the start of the process.

    Ours must have the bits of the offline score.
    """
    body = (directory.path / f"{rows}.json").read_text().splitlines()[0].encode()
    answer, seconds = server.wait_for_answer("/predict", body)
    assert len(answer["predictions"]) == 1, answer
    if server.process.args[0] != sys.executable:
        scores = json.loads((directory.path / "scores.json").read_text())
        assert answer["probabilities"] == scores[rows][:1], answer
    return seconds


def start_all(directory, cores, stack):
    """The six servers, by name and number of workers."""
    started = {(ONE_PROCESS, 1): servers.serving_node(directory.copy(), cores)}
    stack.callback(started[(ONE_PROCESS, 1)].close)
    started[(TWO_PROCESSES, 1)] = two_processes(directory, cores, stack)
    for name, app in ((PIPELINE, "pipeline_app"), (LEAN, "lean_app")):
        for workers in (1, 2):
            server = uvicorn(app, workers, directory, cores)
            stack.callback(server.close)
            started[(name, workers)] = server
    for server in started.values():
        wait(server, directory)
    return started


def settings(name, workers):
    if name in (PIPELINE, LEAN):
        return f"uvicorn, {workers} worker{'s'[: workers - 1]}, uvloop, httptools"
    return "validation, full log"


def against_python(worker, directory, targets):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(worker.process.pid, cores)
    with contextlib.ExitStack() as stack:
        started = start_all(directory, cores, stack)
        singles(worker, started, targets)
        batches(worker, started, targets)


def singles(worker, started, targets):
    contenders = [
        load.Contender(
            name, settings(name, workers), server, **asked("required.json", connections)
        )
        for connections in LOADS
        for (name, workers), server in started.items()
    ]

    def those(connections):
        return [
            each for each in contenders if each.request["connections"] == connections
        ]

    for connections in LOADS:
        load.in_turn(those(connections), worker, ROUNDS, SECONDS)
        title = (
            f"One record a request, {connections} connections; all on the same cores"
        )
        bench.table(title, load.HEADER, [load.row(each) for each in those(connections)])

    def best(name, among=contenders):
        chosen = [contender for contender in among if contender.name == name]
        return max(chosen, key=load.Contender.per_second)

    one, two = best(ONE_PROCESS), best(TWO_PROCESSES)
    for name, factor in ((PIPELINE, 100), (LEAN, 6)):
        peer = best(name)
        ratio = one.per_second() / peer.per_second()
        targets.at_least(f"one process, req/s, to {name}", ratio, factor, "x")
        for connections in LOADS:
            ours, theirs = (
                best(each, those(connections)) for each in (ONE_PROCESS, name)
            )
            ratio = ours.least("p99_ms") / theirs.least("p99_ms")
            what = f"one process, p99, {connections} connections, to {name}"
            targets.at_most(what, ratio, 1, "x")
        ours, theirs = (best(each, those(CONNECTIONS)) for each in (ONE_PROCESS, name))
        share = ours.memory_mb() / theirs.memory_mb()
        targets.at_most(f"one process, memory, to {name}", share, 0.1, "x")
    ratio = two.per_second() / best(LEAN).per_second()
    targets.at_least(f"two processes, req/s, to {LEAN}", ratio, 3, "x")


def batches(worker, started, targets):
    def contender(name, workers, said, **request):
        return load.Contender(name, said, started[(name, workers)], **request)

    ours = {"JSON": [], "gRPC": []}
    python = []
    for at_once in BATCHES:
        # Sending one takes so long that the others should not wait for it.
        rest = asked("batch.json", at_once, "/predict_batch") | {"threads": at_once}
        grpc = {"ask": "grpc", "path": BATCH_METHOD, "file": "batch.grpc"}
        grpc |= {"address": started[(ONE_PROCESS, 1)].grpc}
        grpc |= {"connections": at_once, "streams": 1}
        for form, request in (("JSON", rest), ("gRPC", grpc)):
            said = f"{form}, full log"
            ours[form].append(contender(ONE_PROCESS, 1, said, **request))
        python += [
            contender(name, workers, settings(name, workers), **rest)
            for name in (PIPELINE, LEAN)
            for workers in (1, 2)
        ]
    everyone = [*ours["JSON"], *ours["gRPC"], *python]
    # A batch takes Python seconds.
    load.in_turn(everyone, worker, max(ROUNDS // 2, 1), 4 * SECONDS)
    rows = [
        [
            each.name,
            each.settings,
            each.request["connections"],
            f"{each.per_second_by_latency() * BATCH_RECORDS:,.0f}",
            f"{each.least('p50_ms'):,.0f}",
        ]
        for each in everyone
    ]
    header = ["server", "settings", "at once", "best records/s", "p50 ms"]
    bench.table(f"Batches of {BATCH_RECORDS:,} records", header, rows)

    def best(contenders):
        return max(each.per_second_by_latency() for each in contenders)

    for what, factor in (("JSON", 8), ("gRPC", 12)):
        ratio = best(ours[what]) / best(python)
        targets.at_least(f"batches by {what}, to Python's best", ratio, factor, "x")


def cold_starts(directory, targets):
    """From the start of a process to its first good answer, the model on disk."""
    cores = os.sched_getaffinity(0)
    starts = {
        ONE_PROCESS: lambda: servers.serving_node(directory.copy(), cores),
        PIPELINE: lambda: uvicorn("pipeline_app", 1, directory, cores),
        LEAN: lambda: uvicorn("lean_app", 1, directory, cores),
    }
    taken = {name: [] for name in starts}
    # Whoever syncs a file of its own would wait for the logs of the batches before.
    os.sync()
    for _ in range(COLD_STARTS):
        for name, start in starts.items():
            server = start()
            try:
                taken[name].append(wait(server, directory))
            finally:
                server.close()
    rows = [
        [name, f"{min(seconds):.3f}", f"{sorted(seconds)[COLD_STARTS // 2]:.3f}"]
        for name, seconds in taken.items()
    ]
    header = ["server", "best s", "median s"]
    bench.table("From the start of the process to the first good answer", header, rows)
    for name in (PIPELINE, LEAN):
        share = min(taken[ONE_PROCESS]) / min(taken[name])
        targets.at_most(f"start to first answer, to {name}", share, 1 / 20, "x")


def main():
    targets = bench.Targets()
    versions = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "pandas")
    versions += ("scikit-learn", "xgboost-cpu", "lightgbm", "orjson")
    print(", ".join(f"{package} {bench.version(package)}" for package in versions))
    with contextlib.ExitStack() as stack:
        directory = Directory(stack)
        subprocess.run(
            [sys.executable, PEERS / "train.py", directory.path],
            check=True,
            env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        )
        binary = servers.RELEASE / "bench-serving"
        worker = bench.Worker(binary, bench.bank_csv(), directory.path)
        stack.callback(worker.close)
        model = worker.ask(ask="describe")
        print(
            f"Holdfast: {model['trees']} trees, artefact {model['artifact_bytes'] / 1e6:.1f} MB; "
            f"{ROUNDS} rounds of {SECONDS:g} s"
        )
        against_axum(worker, directory, targets)
        against_python(worker, directory, targets)
        cold_starts(directory, targets)
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
