"""What the environment of nights is found to be, one check a function; none of them changes anything that lasts."""

import datetime as dt
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distributions, metadata, requires
from pathlib import Path
from platform import python_version

from packaging.utils import canonicalize_name

from retrieval.errors import LamplighterError
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.upkeep import problems
from storage.opening import Origin
from storage.releases import ReleaseStore
from storage.room import free_bytes, landed_days, strangers, why_not_writable
from validation import environment
from validation.environment import Finding

NAME, TESTED_PYTHON = "lamplighter", "3.11"


def versions(constraints: Path) -> list[Finding]:
    """Python and libraries beside what pyproject.toml and constraints.txt say."""
    installed: dict[str, str] = {canonicalize_name(found.name): found.version for found in distributions()}
    try:
        required, asked = metadata(NAME)["Requires-Python"], requires(NAME) or []
    except PackageNotFoundError:
        cure = f"{environment.INSTALL}."
        return [Finding("libraries", "bad", f"{NAME} itself is not installed", cure)]
    found = [
        environment.python_version(python_version(), required, TESTED_PYTHON),
        environment.libraries(installed, asked),
    ]
    if constraints.is_file():
        found.append(environment.beside_constraints(installed, constraints.read_text()))
    return found


def permissions(lake: Lake, releases: str) -> list[Finding]:
    """Whether nights can write where they have to."""
    places = {"lake": lake.root} if "://" in releases else {"lake": lake.root, "releases": Path(releases)}
    found = []
    for name, folder in places.items():
        why = why_not_writable(folder)
        alien = strangers(folder)
        cure = "Give this user the folder: `chown -R USER FOLDER`, or run as the user who has it."
        if why:
            found.append(Finding(f"{name} writable", "bad", why, cure))
        elif alien:
            found.append(Finding(f"{name} writable", "bad", f"not in {', '.join(alien)}", cure))
        else:
            found.append(Finding(f"{name} writable", "ok", str(folder)))
    return found


def disk(lake: Lake, min_free_gib: float) -> Finding:
    """Room for the next nights."""
    return environment.room(free_bytes(lake.root), min_free_gib, str(lake.root))


def landing(uri: str) -> Finding:
    """Whether the landing zone can be looked into, and what is there."""
    days, why = landed_days(uri)
    if why:
        cure = "Name it with --landing, or mend the connection, the rights or the folder's name."
        return Finding("landing", "bad", why, cure)
    if not days:
        return Finding("landing", "look", f"no events in {uri}", "Land days as docs/data-contract.md says.")
    return Finding("landing", "ok", f"{len(days):,} days, {days[0]} to {days[-1]}")


def logs(lake: Lake, *, thorough: bool) -> Finding:
    """Whether the logs open and, thoroughly, whether they hold what was loaded."""
    if not lake.logs.exists():
        return Finding("logs", "skipped", "nothing was loaded yet")
    cure = "Run `lamplighter logs rebuild`."
    try:
        with open_logs(lake.logs, read_only=True) as opened:
            days = opened.days_loaded()
            wrong = problems(opened) if thorough else []
    except LamplighterError as error:
        return Finding("logs", "bad", str(error), cure)
    if wrong:
        return Finding("logs", "bad", f"{len(wrong)} faults, the first: {wrong[0]}", cure)
    how = "every row as it was loaded" if thorough else "opened; --thorough counts every row"
    return Finding("logs", "ok", f"{len(days):,} days, {how}")


def live(store: ReleaseStore, *, thorough: bool) -> Finding:
    """Whether the live release is whole and answers."""
    if store.pointer() is None:
        return Finding("live release", "skipped", "none yet")
    release = store.current()
    store.verify(release.id, full=thorough)
    Origin(store, release.id).open(full=False)
    how = "every byte" if thorough else "sizes; --thorough compares every byte"
    return Finding("live release", "ok", f"{release.id} is whole ({how}) and answers")


def conditions(store: ReleaseStore) -> Finding:
    """Whether an S3 server keeps publishers apart by itself."""
    honest = store.place.keeps_conditions()
    if honest is None:
        return Finding("conditional writes", "skipped", "releases lie in a folder, which has a lock")
    if honest:
        return Finding("conditional writes", "ok", f"{store.uri} keeps them")
    cure = "Let one machine publish, or use a server that keeps If-Match."
    return Finding("conditional writes", "look", f"{store.uri} ignores them: a lease keeps publishers apart", cure)


def since(store: ReleaseStore) -> dt.datetime | None:
    """When the live release was made live."""
    pointer = store.pointer()
    return dt.datetime.fromisoformat(pointer.since) if pointer else None


def told(check: str, look: Callable[[], Finding]) -> Finding:
    """What a check finds, or the sentence of the error that it ended in."""
    try:
        return look()
    except LamplighterError as error:
        said, _, cure = str(error).rstrip(".").rpartition(". ")
        return Finding(check, "bad", said or cure, f"{cure}." if said else "See docs/runbook.md.")
    except OSError as error:
        cure = "Name another, or mend it."
        return Finding(check, "bad", f"{error.filename or check}: {error.strerror or error}", cure)
