"""gRPC `Predict` beside a tonic server that does nothing, each on one core, the load on another.

`make bench-grpc` builds the Rust side and runs this. The replica serves a model of 400 trees
of depth 6 with its full prediction log; the echo takes and answers messages of the same
sizes undecoded.
"""

import os
import pathlib
import sys
import tempfile

import bench
import load
import servers

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
# Connections, and calls at once on each.
LOADS = ((1, 1), (4, 16), (16, 64))
PREDICT = "/holdfast.inference.v1.InferenceService/Predict"


def asked(connections, streams, path):
    return {
        "ask": "grpc",
        "path": path,
        "file": "predict.grpc",
        "connections": connections,
        "streams": streams,
    }


def answer_bytes(worker, server):
    """The mean size of a replica's answers."""
    request = asked(1, 1, PREDICT)
    figures = worker.ask(address=server.address, warm_up=0, seconds=0.3, **request)
    return figures["answer_bytes"]


def main():
    targets = bench.Targets()
    server_core, load_core = load.pinned()
    with tempfile.TemporaryDirectory() as name:
        data_dir = pathlib.Path(name)
        worker = bench.Worker(
            servers.RELEASE / "bench-serving", bench.bank_csv(), data_dir
        )
        model = worker.ask(ask="describe")
        os.sched_setaffinity(worker.process.pid, load_core)
        replica = servers.inference(data_dir, server_core)
        size = answer_bytes(worker, replica)
        echo = servers.noop(["grpc", size], server_core)
        print(
            f"{model['trees']} trees, artefact {model['artifact_bytes'] / 1e6:.1f} MB; answers of "
            f"{size} bytes; server on core {min(server_core)}, load on core {min(load_core)}; "
            f"{ROUNDS} rounds of {SECONDS:g} s"
        )
        try:
            for connections, streams in LOADS:
                compare(worker, (replica, echo), (connections, streams), targets)
        finally:
            replica.close()
            echo.close()
            worker.close()
    return targets.exit_code()


def compare(worker, pair, shape, targets):
    replica, echo = pair
    connections, streams = shape
    label = f"{connections} x {streams}"
    ours = load.Contender(
        "Holdfast inference", "Predict, full log", replica, **asked(*shape, PREDICT)
    )
    path = "/holdfast.load.Echo/Predict"
    peer = load.Contender(
        "tonic echo", "no-op, same sizes", echo, **asked(*shape, path)
    )
    load.in_turn([ours, peer], worker, ROUNDS, SECONDS)
    title = f"{connections} connections x {streams} calls at once"
    bench.table(title, load.HEADER, [load.row(ours), load.row(peer)])
    ratio = ours.per_second() / peer.per_second()
    targets.at_least(f"{label}: req/s, to the echo's", ratio, 0.6, "x")
    ratio = ours.least("p99_ms") / peer.least("p99_ms")
    targets.at_most(f"{label}: p99, to the echo's", ratio, 2, "x")


if __name__ == "__main__":
    sys.exit(main())
