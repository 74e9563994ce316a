"""Old releases out of the store once a newer one is live, and what killed runs left."""

import datetime as dt
import logging

from retrieval.errors import ReleaseError
from storage.releases import Swept
from tasks.run import Night, stage

log = logging.getLogger(__name__)


@stage("sweep", minutes=60)
def sweep(night: Night, *, at: dt.datetime, who: str) -> Swept | None:
    """Keep what the recipe says; None where the store could not be swept, which the next night tries again."""
    config = night.recipe.retention
    try:
        return night.store.sweep(config.keep, dt.timedelta(hours=config.grace_hours), at=at, who=who)
    except ReleaseError as error:  # the night's release is live: its night has not failed
        log.warning("old releases stay: %s", error)
        return None
