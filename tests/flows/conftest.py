"""Places that releases are published to."""

from release_places import juicefs, moto, release_uri

__all__ = ["juicefs", "moto", "release_uri"]
