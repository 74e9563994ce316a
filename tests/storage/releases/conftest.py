"""Places that every store is tried in."""

from release_places import juicefs, moto, release_uri

__all__ = ["juicefs", "moto", "release_uri"]
