"""Places that every store is tried in."""

from release_places import juicefs, moto, one_loader, release_uri

__all__ = ["juicefs", "moto", "one_loader", "release_uri"]
