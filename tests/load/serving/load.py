"""Load on servers, in turn, round after round, and what became of it."""

import os
import time

from servers import processor_seconds

WARM_UP = 0.5


class Contender:
    """A server under one kind of load. `rounds` collects the figures."""

    def __init__(self, name, settings, server, **request):
        self.name, self.settings, self.server = name, settings, server
        self.request = request
        self.rounds = []

    def measure(self, worker, seconds):
        used = [
            -self.server.processor_seconds(),
            -processor_seconds(worker.process.pid),
        ]
        figures = worker.ask(
            **{
                "address": self.server.address,
                "warm_up": WARM_UP,
                "seconds": seconds,
                **self.request,
            }
        )
        if figures["failed"]:
            raise RuntimeError(f"{self.name} failed: {figures['first_failure']}")
        used[0] += self.server.processor_seconds()
        used[1] += processor_seconds(worker.process.pid)
        # The warm-up is loaded like the rest.
        share = seconds / (seconds + WARM_UP) / max(figures["answered"], 1)
        figures["processor_us"], figures["load_us"] = (it * share * 1e6 for it in used)
        figures["memory_mb"] = self.server.memory_mb()
        return figures

    def per_second(self):
        """Answers a second in the best round: what the others of the machine disturb least."""
        return max(figures["per_second"] for figures in self.rounds)

    def median_per_second(self):
        ordered = sorted(figures["per_second"] for figures in self.rounds)
        return ordered[len(ordered) // 2]

    def per_second_by_latency(self):
        """The same for answers that take so long that few fit into a round (Little's law)."""
        at_once = self.request["connections"] * self.request.get("streams", 1)
        return at_once / self.least("mean_ms") * 1e3

    def least(self, what):
        return min(figures[what] for figures in self.rounds)

    def memory_mb(self):
        return max(figures["memory_mb"] for figures in self.rounds)


def in_turn(contenders, worker, rounds, seconds):
    """Loads all contenders once a round; every other round runs backwards."""
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            contender.rounds.append(contender.measure(worker, seconds))
            # What the one before still writes or frees is not the next one's burden.
            time.sleep(0.1)


HEADER = [
    "server",
    "settings",
    "best req/s",
    "median",
    "p50 ms",
    "p99 ms",
    "processor us/req",
    "load's us/req",
    "memory MB",
]


def row(contender):
    return [
        contender.name,
        contender.settings,
        f"{contender.per_second():,.0f}",
        f"{contender.median_per_second():,.0f}",
        f"{contender.least('p50_ms'):.3f}",
        f"{contender.least('p99_ms'):.3f}",
        f"{contender.least('processor_us'):.1f}",
        f"{contender.least('load_us'):.1f}",
        f"{contender.memory_mb():.0f}",
    ]


def pinned():
    """One core for the server and one for the load, as sets."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("server and load need a core each")
    return {cores[0]}, {cores[1]}
