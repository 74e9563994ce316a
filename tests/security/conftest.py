"""An S3 server to publish to."""

from release_places import moto

__all__ = ["moto"]
