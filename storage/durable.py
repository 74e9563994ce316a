"""Writes that are whole or absent, also after `kill -9` or a power cut."""

import fcntl
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STAGING = ".staging-"


def sync_folder(folder: Path) -> None:
    """Make the folder's list of names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durable(path: Path, content: bytes) -> None:
    """Replace a file in one step: readers see the old bytes or the new ones."""
    temporary = _staging_beside(path)  # a name of its own: two writers at once never share a half-written file
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A folder to fill beside `target`, which becomes `target` in one rename when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging_beside(target)
    staging.mkdir()
    try:
        yield staging
        for path in staging.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            else:
                sync_folder(path)
        sync_folder(staging)
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another run finished the same folder first: its content is the same
                raise
        sync_folder(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for whoever else holds it; the system frees it when its holder ends, however."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sweep_staging(parent: Path) -> int:
    """Remove what killed writers left in a folder, not what living ones still write; returns how much there was."""
    leftovers = [path for path in parent.glob(f"{STAGING}*") if not _is_alive(path)] if parent.is_dir() else []
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


def retire(folder: Path) -> None:
    """Remove a folder that others may read: in one step it is none any more, then its files go."""
    retired = _staging_beside(folder)
    try:
        folder.rename(retired)
    except FileNotFoundError:
        return
    sync_folder(folder.parent)
    shutil.rmtree(retired, ignore_errors=True)


def _staging_beside(target: Path) -> Path:
    return target.with_name(f"{STAGING}{os.getpid()}-{uuid.uuid4().hex}-{socket.gethostname()}")


def _is_alive(staging: Path) -> bool:
    """Whether the process that made a staging file or folder still runs; one of another machine is taken to."""
    process, _, host = staging.name.removeprefix(STAGING).split("-", 2)
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
