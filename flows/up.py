"""A Prefect server and a worker, started together, deployed to, and ended in the order that leaves nothing behind."""

import datetime as dt
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from flows.deploying import client_of, deploy, next_night
from flows.server_settings import ServerSettings
from flows.settings import Settings
from flows.supervision import PROGRAMS, Supervisor, end, end_leftovers, processes, runs
from retrieval.errors import ServerError
from retrieval.progress import advance
from storage.durable import write_durable
from storage.layout import Home
from tasks.server import POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

SERVER_SECONDS, WORKER_SECONDS, SCHEDULE_SECONDS = 180, 90, 60
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Up:
    """What runs after `lamplighter up`."""

    ui: str
    api: str
    home: str
    logs: str
    database: str
    already: bool
    """Whether it ran before."""
    processes: dict[str, int]
    """The number of the server's and of the worker's process."""
    deployments: tuple[str, ...]
    channels: tuple[str, ...]
    """Who is told of incidents."""
    next_night: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Down:
    """What `lamplighter down` ended."""

    home: str
    ended: tuple[str, ...]
    runs: tuple[str, ...]
    """The runs that were cut off."""


def up(server: ServerSettings, settings: Settings) -> Up:
    """Start what does not run yet, deploy everything, and say where it is.

    Raises:
        ServerError: when the port is somebody else's, when it runs with other settings, or when it does not start.
    """
    home = server.place(settings)
    supervisor = Supervisor(home)
    already = supervisor.programs() is not None
    asked = server.asked(settings)
    if already:
        _require_same(home, asked, server.model_fields_set | settings.model_fields_set)
        server = server.model_copy(update={name: _recorded(home)[name] for name in ("host", "port")})
    _require_own_server(server)
    if not already:
        end_leftovers(home)
        _require_free_port(server)
        home.root.mkdir(parents=True, exist_ok=True)
        write_durable(home.asked, json.dumps(asked | {"api": server.api}, indent=1).encode())
        supervisor.begin(server.environment(home, settings))
    try:
        return _serve(supervisor, server, already)
    except BaseException:
        if not already:
            _end_all(supervisor)
        raise


def _serve(supervisor: Supervisor, server: ServerSettings, already: bool) -> Up:
    """Wait for the server, deploy, start the worker, and look whether a night is scheduled."""
    home = supervisor.home
    supervisor.start("server")
    _wait(
        "start the server",
        lambda: _answers(server.api),
        SERVER_SECONDS,
        f"{server.api} does not answer",
        home,
        "server",
    )
    deployed = deploy(server.api)
    with client_of(server.api) as client:
        _pause(client, False)  # a `down` that was killed between pausing and ending has left it so
    supervisor.start("worker")
    _wait("start the worker", lambda: _works(supervisor), WORKER_SECONDS, "the worker does not stay up", home, "worker")
    night = _wait(
        "schedule", lambda: next_night(server.api), SCHEDULE_SECONDS, "no night was scheduled", home, "server"
    )
    known = supervisor.programs() or {}
    numbers = {name: known[name].pid for name in PROGRAMS}
    return Up(
        server.address,
        server.api,
        str(home.root),
        str(home.logs),
        _recorded(home)["database_url"],
        already,
        numbers,
        deployed.deployments,
        deployed.channels,
        night,
    )


def down(server: ServerSettings, settings: Settings, *, force: bool, wait: bool) -> Down:
    """End what `up` started, the worker first; runs under way are waited for, or cut off, or a reason not to.

    Raises:
        ServerError: when runs are under way and neither `force` nor `wait` is set.
    """
    home = server.place(settings)
    supervisor = Supervisor(home)
    known = supervisor.programs()
    if known is None and not processes(home):
        return Down(str(home.root), (), ())
    api = _recorded(home).get("api", server.api)
    if (under_way := runs(home)) and not force and not wait:
        named = _names(api, list(under_way))
        raise ServerError(
            f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} under way and would be cut off. "
            "`lamplighter down --wait` waits for the end, --force cuts off: a night that is run again goes on from its "
            "last finished stage."
        )
    with _no_more_runs(api):
        if wait:
            _wait_for_runs(home)
        cut = _cut_off(home, api)
        supervisor.stop("worker")
    running = tuple(name for name in reversed(PROGRAMS) if known is None or known[name].pid)
    _end_all(supervisor)
    return Down(str(home.root), running, cut)


def _end_all(supervisor: Supervisor) -> None:
    """Worker, server, supervisor; then whatever of it is still there."""
    if supervisor.programs() is not None:
        for program in reversed(PROGRAMS):
            advance(f"stop the {program}", 0, 1)
            supervisor.stop(program)
            advance(f"stop the {program}", 1, 1)
        supervisor.end()
    end_leftovers(supervisor.home)
    end(processes(supervisor.home))


def _require_own_server(server: ServerSettings) -> None:
    named = os.environ.get("PREFECT_API_URL")
    if named and named.rstrip("/") != server.api:
        raise ServerError(
            f"PREFECT_API_URL names {named}, and this would start another server at {server.api}. `lamplighter deploy` "
            "deploys to the one that is named; unset the variable to start one of its own."
        )


def _require_same(home: Home, asked: dict[str, Any], given: set[str]) -> None:
    """One home has one server: what it runs with can only be changed by starting it anew."""
    runs_with = _recorded(home)
    differing = [name for name, value in asked.items() if name in given and runs_with[name] != value]
    if differing:
        there = ", ".join(f"{name} {runs_with[name] or 'not set'}" for name in differing)
        here = ", ".join(f"{name} {asked[name] or 'not set'}" for name in differing)
        raise ServerError(
            f"the server of {home.root} runs already with {there}, and was asked for {here}. "
            "`lamplighter down`, then `lamplighter up` anew; or give this one a home of its own: --home."
        )


def _recorded(home: Home) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(home.asked.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _require_free_port(server: ServerSettings) -> None:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            raise ServerError(
                f"port {server.port} of {server.host} cannot be used ({error.strerror}): another program listens "
                "there, or it is not yours to use. Choose another with --port or LAMPLIGHTER_PORT."
            ) from None


def _answers(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _works(supervisor: Supervisor) -> bool:
    return (supervisor.programs() or {})["worker"].state == "RUNNING"


def _wait(work: str, happened: Callable[[], Any], seconds: float, else_: str, home: Home, program: str) -> Any:
    """What `happened` gives once it is true, with the seconds as progress."""
    start = time.monotonic()
    while not (found := happened()):
        passed = time.monotonic() - start
        if passed > seconds:
            raise ServerError(f"{else_} after {seconds:.0f} s. {_last_words(home, program)}")
        advance(work, int(passed), int(seconds))
        time.sleep(POLL_SECONDS)
    advance(work, int(seconds), int(seconds))
    return found


def _last_words(home: Home, program: str) -> str:
    """The last line of a log, and where it is."""
    log = home.log(program)
    lines = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    return f"It said last: {lines[0].strip()[:300]!r}; all of it is in {log}." if lines else f"{log} is empty."


@contextmanager
def _no_more_runs(api: str) -> Iterator[None]:
    """Let no run begin inside the block; a server that does not answer begins none."""
    with client_of(api) as client:
        _pause(client, True)
        try:
            yield
        finally:
            _pause(client, False)


def _pause(client: "SyncPrefectClient", paused: bool) -> None:
    from prefect.client.schemas.actions import WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    with suppress(httpx.HTTPError, ObjectNotFound):
        client.update_work_pool(POOL, WorkPoolUpdate(is_paused=paused))


def _wait_for_runs(home: Home) -> None:
    begun = left = len(runs(home))
    while left:
        advance("wait for what is under way", max(0, begun - left), begun)
        time.sleep(2 * POLL_SECONDS)
        left = len(runs(home))


def _cut_off(home: Home, api: str) -> tuple[str, ...]:
    """End the runs that are under way and tell the server, which would take them for running for ever."""
    left = runs(home)
    names = _names(api, list(left))
    for run, those in left.items():
        end(those)
        _tell_crashed(api, run)
    return names


def _tell_crashed(api: str, run: str) -> None:
    from prefect.states import Crashed

    # A server that is gone already cannot be told; the automation for killed runs does it when one is there again.
    with suppress(httpx.HTTPError), client_of(api) as client:
        state = client.read_flow_run(UUID(run)).state
        if state is None or not state.is_final():
            client.set_flow_run_state(UUID(run), Crashed(message="Cut off by `lamplighter down --force`."), force=True)


def _names(api: str, ids: Sequence[str]) -> tuple[str, ...]:
    """What runs are called, or their ids when the server does not answer."""
    try:
        with client_of(api) as client:
            return tuple(sorted(client.read_flow_run(UUID(run)).name for run in ids))
    except httpx.HTTPError:
        return tuple(ids)
