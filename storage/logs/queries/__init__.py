"""The SQL of the logs, one file a query."""

from importlib import resources


def query(name: str) -> str:
    """The text of a query by its file's name."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text()
