"""Where everything lies in the lake. The only place that joins paths."""

import datetime as dt
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET = 90
"""Bytes of a socket's path: the system takes 107, and a supervisor adds its process's number for a moment."""


@dataclass(frozen=True, slots=True)
class Lake:
    """The root folder of one deployment's state."""

    root: Path

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def logs(self) -> Path:
        return self.root / "logs" / "logs.duckdb"

    @property
    def encoders(self) -> Path:
        """Exported text encoders, one folder a model digest."""
        return self.root / "cache" / "encoders"

    @property
    def text_vectors(self) -> Path:
        """Encoded texts, one folder a model digest."""
        return self.root / "cache" / "texts"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def release_copies(self) -> Path:
        """Local copies of releases that lie elsewhere."""
        return self.root / "cache" / "releases"

    @property
    def exports(self) -> Path:
        """What was taken out of the quarantine to be looked at."""
        return self.root / "exports"

    @property
    def convergence(self) -> Path:
        """The history of fresh items' vectors."""
        return self.root / "convergence" / "history.duckdb"

    @property
    def prefect(self) -> Path:
        """The home of the Prefect server that `lamplighter up` starts."""
        return self.root / "prefect"

    @property
    def incidents(self) -> Path:
        """The book of what is wrong, what was, and how nights ended."""
        return self.root / "incidents" / "incidents.json"

    def quality(self, day: dt.date) -> Path:
        """The page of what landed up to a day."""
        return self.root / "quality" / f"{day.isoformat()}.html"

    def comparison(self, experiment: str, day: dt.date) -> Path:
        """What an experiment found on the nights up to a day."""
        return self.root / "comparisons" / experiment / day.isoformat()

    @property
    def all_artifacts(self) -> Path:
        return self.root / "artifacts"

    def artifacts(self, stage: str, day: dt.date) -> Path:
        return self.all_artifacts / stage / f"day={day.isoformat()}"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one Prefect server and its worker."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    @property
    def asked(self) -> Path:
        """What it was started with."""
        return self.root / "asked.json"

    @property
    def socket(self) -> Path:
        """Where its supervisor listens; a short path elsewhere when this one is longer than sockets may be."""
        beside = self.root / "supervisor.sock"
        if len(bytes(beside)) <= LONGEST_SOCKET:
            return beside
        name = hashlib.sha256(bytes(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"lamplighter-{name}" / "supervisor.sock"
