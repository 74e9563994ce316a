"""What a bundle in the store says of itself."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from retrieval.errors import ArtifactError, ReleaseError
from storage.bundle import FORMAT, MIXER, NIGHT, RELEASE, REPORT
from storage.manifest import MANIFEST, Manifest
from storage.refs import digest_of_bytes
from storage.releases.places import Place


@dataclass(frozen=True, slots=True)
class Release:
    """One bundle in the store."""

    id: str
    day: dt.date
    parent: str | None
    """The release that was live when this one was made: where its models started from."""
    recipe: str
    facts: dict[str, Any]
    """What the bundle says of itself."""
    manifest: Manifest
    manifest_sha256: str
    uri: str

    @property
    def digest(self) -> str:
        """Of everything but the pages and what later pages draw, which tell seconds."""
        return self.manifest.without(REPORT, MIXER, NIGHT).digest

    @property
    def decision(self) -> str:
        """What its acceptance tests and the gate came to: promote, hold or refuse."""
        return str(self.facts["decision"])

    @property
    def reasons(self) -> list[str]:
        return list(self.facts["reasons"])

    @property
    def compared_with(self) -> str | None:
        """The release that was live when the gate judged it."""
        found: str | None = self.facts["compared_with"]
        return found

    def require_sound(self) -> None:
        """Raise unless it passed its acceptance tests: one that did not may never be read.

        Raises:
            ReleaseError: with what it failed.
        """
        if self.decision == "refuse":
            raise ReleaseError(
                f"release {self.id} was refused and can never become live: {' '.join(self.reasons)} "
                "Mend the cause and run its night again."
            )

    @property
    def n_bytes(self) -> int:
        return self.manifest.size


def read_release(place: Place, id_: str) -> Release:
    """The release of an id that is in the place.

    Raises:
        ReleaseError: when its manifest or its facts are damaged.
    """
    try:
        data = place.read(f"{id_}/{MANIFEST}")
        manifest = Manifest.parse(data, f"{place.uri}/{id_}/{MANIFEST}")
        (entry,) = (entry for entry in manifest.files if entry.path == RELEASE)
        content = place.read(place.member(id_, entry.path, entry.sha256))
        if digest_of_bytes(content) != entry.sha256:
            raise ArtifactError(f"{RELEASE} does not match the manifest")
        facts = json.loads(content)
        if facts.get("format") != FORMAT:
            raise ReleaseError(
                f"release {id_} is of format {facts.get('format')}, and this software reads {FORMAT}. Run its night "
                "again, or use the version that made it."
            )
        return Release(
            id=id_,
            day=dt.date.fromisoformat(facts["day"]),
            parent=facts["parent"],
            recipe=f"{facts['recipe_name']} {facts['recipe_id']}",
            facts=facts,
            manifest=manifest,
            manifest_sha256=digest_of_bytes(data),
            uri=f"{place.uri}/{id_}",
        )
    except (ArtifactError, OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"release {id_} is torn: {place.uri}/{id_}/{RELEASE} and its manifest cannot be read ({error}). "
            f"Remove {place.uri}/{id_} and run its night again, or go back to another release."
        ) from error


def as_json(release: Release) -> dict[str, Any]:
    """A release as plain values."""
    return {
        "id": release.id,
        "day": release.day.isoformat(),
        "parent": release.parent,
        "recipe": release.recipe,
        "decision": release.decision,
        "compared_with": release.compared_with,
        "digest": release.digest,
        "n_bytes": release.n_bytes,
        "uri": release.uri,
    }
