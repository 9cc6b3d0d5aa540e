"""100,000 runs with 20 metrics each, straight into the databases of both servers, and a Postgres to have them in."""

import contextlib
import glob
import io
import os
import pathlib
import pwd
import random
import sqlite3
import subprocess
import tempfile

import psycopg2
import servers

RUNS = int(os.environ.get("BENCH_RUNS", "100000"))
METRICS = [f"m{number:02}" for number in range(20)]
START_MS = 1_700_000_000_000


def runs():
    """Id, number, start in ms and values of each run; the same for every server."""
    chance = random.Random(7)
    for number in range(RUNS):
        values = [chance.random() for _ in METRICS]
        yield f"{number:032x}", number + 1, START_MS + number * 10, values


class Rows:
    """Rows of one table on their way into a database."""

    def __init__(self, table, columns):
        self.table, self.columns, self.rows = table, columns, []

    def write(self, connection):
        if isinstance(connection, sqlite3.Connection):
            marks = ", ".join("?" * len(self.columns))
            names = ", ".join(self.columns)
            connection.executemany(
                f"INSERT INTO {self.table} ({names}) VALUES ({marks})", self.rows
            )
        else:
            text = "".join(
                "\t".join(r"\N" if v is None else str(v) for v in row) + "\n"
                for row in self.rows
            )
            with connection.cursor() as cursor:
                cursor.copy_from(io.StringIO(text), self.table, columns=self.columns)
        self.rows.clear()


def fill(connection, tables, add):
    """Adds every run to the tables, and lets the database count its rows, as it would have by itself with time."""
    for number, run in enumerate(runs()):
        add(*run)
        if number % 5_000 == 4_999:
            for table in tables:
                table.write(connection)
    for table in tables:
        table.write(connection)
    connection.commit()
    if isinstance(connection, sqlite3.Connection):
        connection.execute("ANALYZE")
        connection.commit()
    else:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    connection.close()


def fill_holdfast(connection, experiment):
    columns = "position run_id experiment_id name status started_at_us ended_at_us"
    run = Rows("runs", (*columns.split(), "lifecycle", "user_id"))
    tag = Rows("run_tags", ("run", "key", "value"))
    point = Rows("metrics", ("run", "key", "measured_at_us", "step", "value", "is_nan"))
    last = Rows(
        "latest_metrics",
        ("run", "key", "step", "measured_at_us", "value", "experiment_id"),
    )

    def add(run_id, number, start, values):
        at = start * 1000
        name = f"run {number}"
        row = (number, run_id, experiment, name, "finished", at, at + 1, "active", "")
        run.rows.append(row)
        tag.rows.append((number, "mlflow.runName", name))
        for key, value in zip(METRICS, values, strict=True):
            point.rows.append((number, key, at, 0, value, 0))
            last.rows.append((number, key, 0, at, value, experiment))

    if not isinstance(connection, sqlite3.Connection):
        # The numbers below are given out.
        with connection.cursor() as cursor:
            sequence = "pg_get_serial_sequence('runs', 'position')"
            cursor.execute(f"SELECT setval({sequence}, %s)", [RUNS])
    fill(connection, [run, tag, point, last], add)


def fill_mlflow(connection, experiment):
    columns = "run_uuid name experiment_id user_id status start_time end_time"
    run = Rows("runs", (*columns.split(), "lifecycle_stage", "artifact_uri"))
    tag = Rows("tags", ("key", "value", "run_uuid"))
    names = ("key", "value", "timestamp", "run_uuid", "step", "is_nan")
    point, last = Rows("metrics", names), Rows("latest_metrics", names)
    false = False if not isinstance(connection, sqlite3.Connection) else 0

    def add(run_id, number, start, values):
        name = f"run {number}"
        uri = f"mlflow-artifacts:/{experiment}/{run_id}/artifacts"
        row = (
            run_id,
            name,
            experiment,
            "",
            "FINISHED",
            start,
            start + 1,
            "active",
            uri,
        )
        run.rows.append(row)
        tag.rows.append(("mlflow.runName", name, run_id))
        for key, value in zip(METRICS, values, strict=True):
            point.rows.append((key, value, start, run_id, 0, false))
            last.rows.append((key, value, start, run_id, 0, false))

    fill(connection, [run, tag, point, last], add)


class Postgres:
    """A throw-away Postgres of Debian's package, synced to disk as in production."""

    def __init__(self, stack):
        [found, *_] = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
        self.bin = pathlib.Path(found)
        self.port = servers.free_port()
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.data = folder / "data"
        self.options = {"cwd": "/"}
        if os.geteuid() == 0:
            # It refuses to run as root.
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.options |= {"user": user.pw_uid, "group": user.pw_gid}
        self.run("initdb", "-D", self.data, "-U", "bench", "-A", "trust", "-E", "UTF8")
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {folder}"
        settings += " -c shared_buffers=1GB -c max_connections=200"
        log = folder / "log"
        self.run("pg_ctl", "-D", self.data, "-l", log, "-w", "-o", settings, "start")
        stack.callback(self.run, "pg_ctl", "-D", self.data, "-m", "fast", "stop")

    def run(self, program, *arguments):
        command = [str(part) for part in (self.bin / program, *arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self.options)

    def database(self, name):
        url = f"postgresql://bench@127.0.0.1:{self.port}"
        with contextlib.closing(psycopg2.connect(f"{url}/postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        return f"{url}/{name}"
