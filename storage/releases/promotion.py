"""What keeps a release from becoming the live one."""

from dataclasses import dataclass

from storage.releases.pointer import Pointer
from storage.releases.release import Release

_KEPT_BACK = {"hold": "the gate held it", "refuse": "it was refused"}


@dataclass(frozen=True, slots=True)
class Promotion:
    """Whether a release is live, and why it is or is not."""

    is_live: bool
    reason: str


def settled(
    release: Release, pointer: Pointer | None, live: Release | None, *, by_hand: bool, approved: bool
) -> Promotion | None:
    """What is settled without moving the pointer; None where the release is to become live.

    `live` is what the pointer names. A person, `by_hand`, ends the hold of a former rollback and asks neither for the
    gate nor for what the release was compared with; nobody makes a refused one live, or one of an earlier day.

    Raises:
        ReleaseError: when a person asks for one that was refused.
    """
    if by_hand:
        release.require_sound()
    if pointer is not None and pointer.release == release.id and not (by_hand and pointer.held):
        return Promotion(True, "it is live already")
    if not by_hand and (release.decision == "refuse" or (release.decision == "hold" and not approved)):
        return Promotion(False, f"{_KEPT_BACK[release.decision]}: {' '.join(release.reasons)}")
    if pointer is not None and pointer.held and not by_hand:
        cure = f"`lamplighter releases promote {release.id}` ends that"
        return Promotion(False, f"a person went back to {pointer.release}, which is held; {cure}")
    if live is not None and live.day > release.day:
        return Promotion(False, f"the live release {live.id} is of a later day")
    beside = pointer.release if pointer else None
    if not by_hand and beside != release.compared_with:
        former = release.compared_with or "none"
        return Promotion(False, f"{beside} is live now, it was compared with {former}; run its night again")
    return None
