"""Processor time: what a measure cost, whatever else the machine did meanwhile."""

import os
import pathlib


def seconds_of(process):
    """Seconds of all threads of a process so far, in user and system mode."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(process, work):
    """What `work` gives, and the processor seconds that the process spent meanwhile."""
    before = seconds_of(process)
    outcome = work()
    return outcome, seconds_of(process) - before
