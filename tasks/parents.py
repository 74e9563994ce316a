"""The releases that a night goes on from and stands beside; the store may be far away, and not answer at first."""

from storage.releases import Release
from tasks.publish import Parts
from tasks.run import Night, stage


@stage("parent", minutes=30)
def parent_of(night: Night) -> Release | None:
    """The release that the night's models go on from."""
    return night.store.parent_for(night.day)


@stage("incumbent", minutes=30)
def incumbent_of(night: Night, parts: Parts) -> Release | None:
    """The live release that the candidate has to stand beside."""
    return parts.incumbent(night)
