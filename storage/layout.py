"""Where everything lies in the lake. The only place that joins paths."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path


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

    def artifacts(self, stage: str, day: dt.date) -> Path:
        return self.root / "artifacts" / stage / f"day={day.isoformat()}"
