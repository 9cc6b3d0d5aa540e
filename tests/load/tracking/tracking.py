"""Searching and logging through MLflow's REST, beside a real `mlflow server`.

`make bench-tracking` builds the Rust side and runs this. Both servers have the same runs, on
SQLite and on Postgres, get the same requests over the same number of connections, and are
measured in turn. Ours is a registry and a gateway, two processes.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import socket
import sqlite3
import sys
import tempfile
import time

import bench
import databases
import numpy as np
import psycopg2
import servers
from databases import METRICS, Postgres
from servers import Server

SEARCHES = int(os.environ.get("BENCH_SEARCHES", "40"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
WARM_UP = 1.0
CONNECTIONS = 8
PAGE = 100
CORES = os.sched_getaffinity(0)
API = "/api/2.0/mlflow"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")


class Client:
    """One connection that is kept, as the official client's session keeps its own.

    It writes and reads HTTP itself: the asking must not use the cores that the servers need.
    """

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.host = address.encode()
        self.socket = socket.create_connection((host, int(port)), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path, body):
        return json.loads(self.send(path, json.dumps(body).encode()))

    def send(self, path, body):
        """The bytes of the answer to a body of JSON."""
        head = b"POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.socket.sendall(head % ((API + path).encode(), self.host, len(body)) + body)
        answer = self.more(b"")
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer = self.more(answer)
        headers = answer[:end].lower()
        length = int(LENGTH.search(headers)[1])
        while len(answer) < end + 4 + length:
            answer = self.more(answer)
        text = answer[end + 4 :]
        if not headers.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{path}: {headers[:40]} {text[:300]}")
        return text

    def more(self, answer):
        got = self.socket.recv(1 << 20)
        if not got:
            raise ConnectionError("the server has hung up")
        return answer + got


def holdfast(stack, url=None):
    """A registry on SQLite, or on the Postgres behind `url`, and a gateway before it."""
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = {
        "HOLDFAST_DATA_DIR": str(folder),
        "HOLDFAST_REGISTRY__BIND": "127.0.0.1:0",
        "HOLDFAST_REGISTRY__ADMIN": "127.0.0.1:0",
    }
    if url:
        settings["HOLDFAST_REGISTRY__DATABASE_URL"] = url
    registry = servers._service("holdfast-registry", settings, folder, CORES)
    stack.callback(registry.close)
    settings = {
        "HOLDFAST_DATA_DIR": str(folder),
        "HOLDFAST_GATEWAY__BIND": "127.0.0.1:0",
        "HOLDFAST_GATEWAY__ADMIN": "127.0.0.1:0",
        "HOLDFAST_PEERS__REGISTRY": f"http://{registry.address}",
    }
    gateway = servers._service("holdfast-gateway", settings, folder, CORES)
    stack.callback(gateway.close)
    experiment = created(gateway.address)
    connection = (
        psycopg2.connect(url) if url else sqlite3.connect(folder / "registry.db")
    )
    databases.fill_holdfast(connection, experiment)
    return gateway.address, experiment


def mlflow(stack, url=None):
    """MLflow's server with a worker a core and two more, as its own default is."""
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port = servers.free_port()
    store = url or f"sqlite:///{folder / 'mlflow.db'}"
    store = store.replace("postgresql:", "postgresql+psycopg2:")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", port, "--backend-store-uri", store, "--workers", 4]
    command += ["--artifacts-destination", folder / "artifacts"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    address = f"127.0.0.1:{port}"
    server = Server(command, CORES, address=address, env=environment, cwd=folder)
    stack.callback(server.close)
    experiment = created(address)
    connection = psycopg2.connect(url) if url else sqlite3.connect(folder / "mlflow.db")
    databases.fill_mlflow(connection, experiment)
    return address, experiment


def created(address):
    """An experiment, as soon as the server answers."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError, RuntimeError):
            answer = Client(address).post("/experiments/create", {"name": "bench"})
            return int(answer["experiment_id"])
        if time.monotonic() - began > 120:
            raise RuntimeError(f"nothing answers at {address}")
        time.sleep(0.1)


def questions():
    """Filters on one metric, from nearly all runs to few, and an order by the same or another."""
    chance = random.Random(11)
    for _ in range(SEARCHES):
        key, other = chance.sample(METRICS, 2)
        bar = chance.choice([0.1, 0.5, 0.9, 0.99, 0.999])
        order = chance.choice([key, other])
        way = chance.choice(["ASC", "DESC"])
        yield f"metrics.{key} > {bar}", [f"metrics.{order} {way}"]


def search_times(address, experiment):
    """Seconds of every search, one after the other; and which runs they found."""
    client, seconds, found = Client(address), [], []
    for filter_string, order_by in questions():
        body = {
            "experiment_ids": [str(experiment)],
            "filter": filter_string,
            "order_by": order_by,
            "max_results": PAGE,
        }
        body = json.dumps(body).encode()
        start = time.perf_counter()
        answer = client.send("/runs/search", body)
        seconds.append(time.perf_counter() - start)
        found.append([run["info"]["run_id"] for run in json.loads(answer)["runs"]])
    return seconds, found


def per_second(worker, address, experiment, what):
    """Calls a second over a few connections, each with a run of its own."""
    client = Client(address)
    made = [
        client.post("/runs/create", {"experiment_id": str(experiment)})
        for _ in range(CONNECTIONS)
    ]
    figures = worker.ask(
        ask=what,
        address=address,
        connections=CONNECTIONS,
        runs=[run["run"]["info"]["run_id"] for run in made],
        since_ms=databases.START_MS,
        warm_up=WARM_UP,
        seconds=SECONDS,
    )
    if figures["failed"]:
        raise RuntimeError(f"{address} failed: {figures['first_failure']}")
    return figures["per_second"]


def measure(name, ours, theirs, worker, targets):
    times = {}
    found = {}
    for who, (address, experiment) in [("Holdfast", ours), ("mlflow server", theirs)]:
        # The first searches warm caches, of the database and of prepared statements.
        search_times(address, experiment)
        times[who], found[who] = search_times(address, experiment)
    same = sum(a == b for a, b in zip(*found.values(), strict=True))
    rows = [
        [who, *(f"{1000 * np.percentile(seconds, p):.1f}" for p in (50, 95, 100))]
        for who, seconds in times.items()
    ]
    title = (
        f"{name}: search of {databases.RUNS:,} runs by a metric, pages of {PAGE}, ms"
    )
    bench.table(title, ["server", "p50", "p95", "slowest"], rows)
    p95 = {who: float(np.percentile(seconds, 95)) for who, seconds in times.items()}
    ratio = p95["mlflow server"] / p95["Holdfast"]
    targets.at_least(f"{name}: the same runs found, of {SEARCHES}", same, SEARCHES)
    targets.at_least(f"{name}: search, 95th percentile", ratio, 20, "x as fast")
    targets.at_most(
        f"{name}: search, 95th percentile", 1000 * p95["Holdfast"], 200, " ms"
    )

    rows = []
    for what, call, points in [
        ("1,000 metrics a batch", "batch", 1_000),
        ("single metrics", "single", 1),
    ]:
        rates = [
            points * per_second(worker, *server, call) for server in (ours, theirs)
        ]
        rows.append(
            [what, *(f"{rate:,.0f}" for rate in rates), f"{rates[0] / rates[1]:.1f}"]
        )
        targets.at_least(
            f"{name}: {what}", rates[0] / rates[1], 20, "x the metrics a second"
        )
    title = f"{name}: metrics a second over {CONNECTIONS} connections"
    bench.table(title, ["what", "Holdfast", "mlflow server", "ratio"], rows)


def main():
    targets = bench.Targets()
    print(
        f"mlflow {bench.version('mlflow')} with 4 workers; ours: registry and gateway"
    )
    worker = bench.Worker(servers.RELEASE / "bench-tracking")
    with contextlib.ExitStack() as stack:
        measure("SQLite", holdfast(stack), mlflow(stack), worker, targets)
    with contextlib.ExitStack() as stack:
        postgres = Postgres(stack)
        ours = holdfast(stack, postgres.database("holdfast"))
        theirs = mlflow(stack, postgres.database("mlflow"))
        measure("Postgres", ours, theirs, worker, targets)
    worker.close()
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
