"""What places allow: how much room is left there, whether files can be written, what has landed."""

import datetime as dt
import os
import shutil
import uuid
from pathlib import Path

from retrieval.errors import ContractError
from storage.landing import Landing


def landed_days(uri: str) -> tuple[list[dt.date], str | None]:
    """The days of events in a landing zone; and why it cannot be looked into, where that is so."""
    try:
        return Landing(uri).days("events"), None
    except ContractError as error:
        return [], str(error).rstrip(".")
    except Exception as error:  # each file system's client has errors of its own
        return [], f"{uri}: {str(error).strip() or type(error).__name__}"


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    return next(found for found in (path, *path.parents) if found.exists())


def free_bytes(path: Path) -> int:
    """Bytes left on the disk where a path is, or would be."""
    return shutil.disk_usage(nearest(path)).free


def why_not_writable(folder: Path) -> str | None:
    """Why no file can be written in a folder, or no folder made where it is not there yet; None where it can."""
    where = nearest(folder)
    if not where.is_dir():
        return f"{where} is no folder"
    mark = where / f".lamplighter-{uuid.uuid4().hex}"
    try:
        mark.write_bytes(b"1")
        mark.replace(mark.with_suffix(".done"))
        mark.with_suffix(".done").read_bytes()
    except OSError as error:
        return f"{where}: {error.strerror or error}"
    finally:
        for left in (mark, mark.with_suffix(".done")):
            left.unlink(missing_ok=True)
    return None


def strangers(folder: Path, most: int = 3) -> list[str]:
    """Folders below one, to the depth of two, that this user cannot write in: what another user's command left."""
    if not folder.is_dir():
        return []
    below = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_dir()]
    return [str(path) for path in below if not os.access(path, os.W_OK | os.X_OK | os.R_OK)][:most]
