"""A user out of the lake: logs, quarantine, artifacts still to be used, exports, saved files of former versions."""

import datetime as dt
import shutil
from dataclasses import asdict, dataclass

from retrieval.errors import UnknownId
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.erasure import Erased, forget, forget_in_exports, is_forgotten
from storage.logs.opening import require_there
from storage.logs.upkeep import vacuum
from storage.releases import ReleaseStore


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken out of the lake, without saying whom it concerned."""

    events: int
    users: int
    quarantined: int
    exports: int
    """Exported files that were written again."""
    releases: int
    """Releases made before, which may still hold traces until they are removed."""


def forget_user(lake: Lake, user: str, *, at: dt.datetime, releases: str | None = None) -> Forgotten:
    """Take a user out of everything that the next release could be made from, and keep them out.

    `releases` is the URI of the release store, where it is not the lake's own.

    Raises:
        UnknownId: when the logs hold nothing of such a user, and did not before.
        LogsError: when another process writes, or nothing was loaded yet.
    """
    if not user.strip():
        raise UnknownId("no user was named: an empty id is nobody's. Name one with --user.")
    require_there(lake.logs)
    with open_logs(lake.logs) as logs, logs.transaction():
        was_known = is_forgotten(logs, user)
        erased = forget(logs, user)
        if not was_known and erased == Erased(0, 0, 0):
            raise UnknownId(
                f"the logs hold no row of {user!r}: nothing was changed. Look for the id as the sender spells it."
            )
        logs.note("forget", at, asdict(erased))
    vacuum(lake.logs, sweep=True)  # deleted rows leave their bytes behind
    exports = forget_in_exports(lake.exports, user)
    shutil.rmtree(lake.all_artifacts, ignore_errors=True)
    store = ReleaseStore(releases or lake.releases, lake.release_copies)
    return Forgotten(**asdict(erased), exports=exports, releases=len(store.ids()))
