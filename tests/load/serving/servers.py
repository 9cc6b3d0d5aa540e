"""Servers to measure: started on chosen cores, asked once, weighed, and ended."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import bench

RELEASE = bench.TARGET / "release"
# As in our images. All servers that are compared have it, Python's as well.
TWO_HEAPS = {"MALLOC_ARENA_MAX": "2"}
PATIENCE = 120
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_cores(cores):
    """What is started in here, and its threads, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def processor_seconds(process):
    """What a process has used of the processor; nothing if it has ended."""
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{process}/stat").read_text()
        after = stat.rpartition(")")[2].split()
        return (int(after[11]) + int(after[12])) / TICKS
    return 0.0


class Server:
    """A process that serves at `address`, with its children.

    Without an address, `find_address(line)` finds it in what the process prints.
    """

    def __init__(self, command, cores, address=None, find_address=None, **options):
        self.began = time.perf_counter()
        with on_cores(cores):
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=subprocess.DEVNULL if address else subprocess.PIPE,
                stderr=options.pop("stderr", subprocess.DEVNULL),
                start_new_session=True,
                **options,
            )
        self.address = address or self._announced(find_address)

    def _announced(self, find_address):
        for line in self.process.stdout:
            found = find_address(line.decode())
            if found:
                return found
        raise RuntimeError(f"{self.process.args} ended: {self.process.wait()}")

    def processes(self):
        """The ids of the process and its descendants."""
        parents = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                after = entry.read_text().rpartition(")")[2].split()
                parents.setdefault(int(after[1]), []).append(int(entry.parent.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            found.append(waiting.pop())
            waiting += parents.get(found[-1], [])
        return found

    def memory_mb(self):
        """What is resident: each process's own, and what is mapped from files once.

        The processes of a server map the same files. Proportional sizes would depend on
        which other servers run.
        """
        own, mapped = 0, [0]
        for process in self.processes():
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{process}/status").read_text()
                fields = dict(re.findall(r"^Rss(\w+):\s+(\d+)", status, re.MULTILINE))
                own += int(fields["Anon"]) + int(fields["Shmem"])
                mapped.append(int(fields["File"]))
        return (own + max(mapped)) / 1024

    def processor_seconds(self):
        """What all its living processes have used of the processor."""
        return sum(map(processor_seconds, self.processes()))

    def wait_for_answer(self, path, body):
        """Posts `body` until the answer is good; the answer, and the seconds since the start."""
        url = f"http://{self.address}{path}"
        headers = {"content-type": "application/json"}
        while time.perf_counter() - self.began < PATIENCE:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, urllib.error.URLError):
                request = urllib.request.Request(url, data=body, headers=headers)
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return json.load(answer), time.perf_counter() - self.began
            time.sleep(0.002)
        raise RuntimeError(f"{self.process.args} does not answer at {url}")

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def listening(line):
    """The gRPC or HTTP address in the line with which a service says where it listens."""
    if '"message":"listening"' not in line:
        return None
    said = json.loads(line)
    return said.get("http") or said["grpc"]


def any_ports(section):
    """Settings with which a service takes any free ports."""
    return {f"HOLDFAST_{section}__{name}": "127.0.0.1:0" for name in ("BIND", "ADMIN")}


def inference(data_dir, cores):
    """One replica, with the champion of the directory; there is no registry."""
    settings = {
        "HOLDFAST_DATA_DIR": str(data_dir),
        **any_ports("INFERENCE"),
        "HOLDFAST_INFERENCE__CHAMPION__POLL_INTERVAL_MS": "20",
        "HOLDFAST_PEERS__REGISTRY": "http://127.0.0.1:1",
    }
    return _service("holdfast-inference", settings, data_dir, cores)


def gateway(inference_address, data_dir, cores):
    """A gateway before one replica; the other services are away."""
    settings = {
        "HOLDFAST_DATA_DIR": str(data_dir),
        **any_ports("GATEWAY"),
        "HOLDFAST_PEERS__INFERENCE": f"http://{inference_address}",
    }
    return _service("holdfast-gateway", settings, data_dir, cores)


def _service(binary, settings, data_dir, cores, find_address=listening):
    return Server(
        [RELEASE / binary],
        cores,
        find_address=find_address,
        env={**settings, **TWO_HEAPS},
        cwd=data_dir,
        stderr=subprocess.STDOUT,
    )


def serving_node(data_dir, cores):
    """Gateway and inference in one process; the others are away. `grpc` is inference's address."""
    settings = {
        "HOLDFAST_DATA_DIR": str(data_dir),
        **any_ports("INFERENCE"),
        **any_ports("GATEWAY"),
        "HOLDFAST_PEERS__REGISTRY": "http://127.0.0.1:1",
    }
    found = []

    def both(line):
        """The gateway's, which starts behind inference."""
        found.extend(filter(None, [listening(line)]))
        return found[1] if len(found) == 2 else None

    server = _service("holdfast-serving", settings, data_dir, cores, both)
    server.grpc = found[0]
    return server


def noop(arguments, cores):
    """A server that does nothing."""
    command = [RELEASE / "bench-noop", *arguments]
    environment = {**os.environ, **TWO_HEAPS}
    return Server(command, cores, find_address=str.strip, env=environment)
