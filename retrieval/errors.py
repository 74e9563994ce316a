"""Every error that data, configuration or the outside can cause.

    LamplighterError
    ├── RecipeError        a recipe that cannot be read or contradicts itself
    ├── ContractError      landed data that breaks the data contract
    │   ├── PartitionError landed files of one kind and day that cannot be used
    │   └── DayRefused     a day that a blocking rule refused
    ├── LogsError          the event store is busy or missing
    │   └── LogsDamaged    its file is no longer what was written
    ├── HistoryError       the history of fresh items' vectors is busy, missing or damaged
    ├── IncidentsError     the book of incidents is damaged
    ├── AlertsError        automations or channels that cannot be used
    ├── ArtifactError      an artifact folder that is incomplete or does not match its manifest
    ├── ReleaseError       a release that is missing, torn or may not become current
    │   └── Unreachable    a server of releases that did not answer, or not to the end
    ├── ServerError        a Prefect server or worker that cannot be started, reached or stopped
    ├── ModelError         a model that cannot be fitted, exported or restored
    ├── DaysFailed         days of a backfill that could not be done
    └── UnknownId          a user, item, topic, source or day that nobody has heard of

A message says what was found, where, what was expected, and what to do.
"""

import datetime as dt

from retrieval.schema import Kind


class LamplighterError(Exception):
    """Something that a user or their data can cause: shown as one sentence, never as a traceback."""


class RecipeError(LamplighterError):
    """A recipe that cannot be read or contradicts itself."""


class ContractError(LamplighterError):
    """Landed data that breaks the data contract."""


class PartitionError(ContractError):
    """Landed files of one kind and day that cannot be used."""

    def __init__(self, message: str, kind: Kind, day: dt.date) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))  # names are hostile
        self.kind, self.day = kind, day


class DayRefused(ContractError):
    """A day that a blocking rule refused: its rows are not in the logs."""


class LogsError(LamplighterError):
    """The event store is busy or missing."""


class LogsDamaged(LogsError):
    """The file of the event store is no longer what was written."""


class HistoryError(LamplighterError):
    """The history of fresh items' vectors is busy, missing or damaged."""


class IncidentsError(LamplighterError):
    """The book of incidents is damaged."""


class AlertsError(LamplighterError):
    """Automations or channels of alerts that cannot be used."""


class ArtifactError(LamplighterError):
    """An artifact folder that is incomplete or does not match its manifest."""


class ReleaseError(LamplighterError):
    """A release that is missing, torn or may not become current."""


class Unreachable(ReleaseError):
    """A server of releases that did not answer, or not to the end: that passes by itself."""


class ServerError(LamplighterError):
    """A Prefect server or worker that cannot be started, reached or stopped."""


class ModelError(LamplighterError):
    """A model that cannot be fitted, exported or restored."""


class DaysFailed(LamplighterError):
    """Days of a backfill that could not be done, beside others that were."""

    def __init__(self, message: str, result: object) -> None:
        super().__init__(message)
        self.result = result


class UnknownId(LamplighterError):
    """A user, item, topic, source or day that nobody has heard of."""
