"""The processes of `lamplighter up`: supervisord starts them, starts them again, and stops them when it is told."""

import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from retrieval.errors import ServerError
from storage.layout import Home

CONFIGURATION = Path(__file__).parent.parent / "deployments" / "supervisord.conf"
PROGRAMS = ("server", "worker")
"""In the order in which they start; they stop in the other, for a worker without a server hangs."""
MARK = "LAMPLIGHTER_SUPERVISED"
"""The variable, with the home for value, that every process of a home inherits."""
RUN = "PREFECT__FLOW_RUN_ID"
"""The variable that Prefect's processes of one run share."""
STOPPED = {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}
SECONDS_TO_END = 30


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    state: str
    """RUNNING, STARTING, BACKOFF, ... as supervisord calls them."""
    pid: int


class Supervisor:
    """The supervisord of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def programs(self) -> dict[str, Program] | None:
        """Server and worker as they are; None when no supervisor runs here."""
        if not self.home.socket.exists():
            return None
        try:
            said = self._ask("getAllProcessInfo")
        except OSError:
            return None
        return {entry["name"]: Program(entry["statename"], entry["pid"]) for entry in said}

    def begin(self, environment: Mapping[str, str]) -> None:
        """Start the supervisor and, by it, the server; it goes on when this command has ended.

        Raises:
            ServerError: with what it said when it did not start.
        """
        self.home.logs.mkdir(parents=True, exist_ok=True)
        _own(self.home.socket.parent)
        ours = {
            MARK: str(self.home.root),
            "LAMPLIGHTER_SOCKET": str(self.home.socket),
            "LAMPLIGHTER_PYTHON": sys.executable,
            "LAMPLIGHTER_WORKER_AT_ONCE": "false",  # a worker that finds no server ends: it starts when one answers
        }
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIGURATION)]
        done = subprocess.run(
            command, env={**environment, **ours}, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no word of why"]
            raise ServerError(f"supervisord did not start: {said[-1]} Its log is {self.home.log('supervisor')}.")

    def start(self, program: str) -> None:
        """Start a program that does not run."""
        known = (self.programs() or {}).get(program)
        if known and known.state in STOPPED:
            self._ask("startProcess", program, False)

    def stop(self, program: str) -> None:
        """Stop a program, and come back when it has ended."""
        known = (self.programs() or {}).get(program)
        if known and known.state not in STOPPED:
            self._ask("stopProcess", program, True)

    def end(self) -> None:
        """End the supervisor itself, with what it still runs."""
        mine = [p for p in processes(self.home) if "supervisor.supervisord" in p.info["cmdline"]]
        self._ask("shutdown")
        psutil.wait_procs(mine, timeout=2 * SECONDS_TO_END)

    def _ask(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.home.socket}")
        try:
            return getattr(xmlrpc.client.ServerProxy("http://localhost", transport).supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise ServerError(
                f"the supervisor of {self.home.root} did not {method} {arguments}: {fault.faultString}. "
                f"See {self.home.logs}."
            ) from fault
        finally:
            transport.close()


def processes(home: Home) -> list[psutil.Process]:
    """Every living process that the supervisor of a home started, itself or through others."""
    found = []
    for process in psutil.process_iter(["pid", "environ", "cmdline", "status"]):
        known = process.info
        marked = (known["environ"] or {}).get(MARK) == str(home.root)
        if marked and known["pid"] != os.getpid() and known["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def runs(home: Home) -> dict[str, list[psutil.Process]]:
    """The processes of runs that are under way, by the runs' ids; they outlive a worker that was killed."""
    found: dict[str, list[psutil.Process]] = {}
    for process in processes(home):
        if run := process.info["environ"].get(RUN):
            found.setdefault(run, []).append(process)
    return found


def end_leftovers(home: Home) -> None:
    """End what a killed supervisor left of servers and workers, workers first; runs go on."""
    left = [process for process in processes(home) if RUN not in process.info["environ"]]
    ordered = sorted(left, key=lambda process: "worker" not in process.info["cmdline"])
    for process in ordered:
        end([process])


def end(asked: Iterable[psutil.Process]) -> None:
    """Ask processes to end, and make those that do not."""
    living = list(asked)
    for process in living:
        _signal(process, "terminate")
    _, stubborn = psutil.wait_procs(living, timeout=SECONDS_TO_END)
    for process in stubborn:
        _signal(process, "kill")
    psutil.wait_procs(stubborn, timeout=SECONDS_TO_END)


def _signal(process: psutil.Process, how: str) -> None:
    with suppress(psutil.NoSuchProcess):
        getattr(process, how)()


def _own(folder: Path) -> None:
    """Make a folder that nobody else writes to, for a socket that anybody who may write there could replace."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise ServerError(f"{folder} belongs to somebody else. Name another home for the server: --home.")
