"""Landed partitions, read and judged row by row, not yet part of the logs."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.landing import Landing
from storage.logs.queries import query
from storage.logs.sql import days_in
from storage.logs.staging import stage_files, stage_kept

KINDS: tuple[Kind, ...] = ("items", "users", "events")
"""In the order they are judged: events are checked against the catalogue."""

Metrics = dict[str, float | None]
"""The metrics of one partition by name; None where there is nothing to measure or to compare with."""

_DROPPED = """CREATE OR REPLACE TEMP TABLE dropped
    (kind VARCHAR, day DATE, n_duplicates BIGINT, n_forgotten BIGINT)"""
COMPARED = ("volume_ratio", "action_psi", "action_js", "topic_psi", "topic_js", "value_psi", "value_js")
NOVELTY = ("new_user_share", "new_item_share")


@dataclass(frozen=True, slots=True)
class Staged:
    """Partitions in temporary tables of the writer's connection."""

    connection: duckdb.DuckDBPyConnection
    partitions: tuple[Partition, ...]

    @classmethod
    def landed(
        cls, connection: duckdb.DuckDBPyConnection, landing: Landing, partitions: Sequence[Partition]
    ) -> "Staged":
        """Read partitions from the landing zone; rows of forgotten users are counted and dropped.

        Raises:
            PartitionError: naming a file that cannot be used.
        """
        for kind in KINDS:
            stage_files(connection, landing, kind, [f for p in partitions if p.kind == kind for f in p.files])
        connection.execute(_DROPPED)
        if connection.execute("SELECT count(*) FROM forgotten").fetchall() != [(0,)]:
            for kind in ("users", "events"):
                theirs = "user_id <> '' AND token_of(user_id) IN (SELECT token FROM forgotten)"
                counts = f"SELECT '{kind}', landed, 0, count(*) FROM staged_{kind} WHERE {theirs} GROUP BY landed"
                connection.execute(f"INSERT INTO dropped {counts}")
                connection.execute(f"DELETE FROM staged_{kind} WHERE {theirs}")
        return cls._of(connection, partitions)

    @classmethod
    def kept(cls, connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition]) -> "Staged":
        """Read partitions again from what the logs keep of them, set aside or not."""
        connection.execute(_DROPPED)
        for kind in KINDS:
            days = [partition.day for partition in partitions if partition.kind == kind]
            stage_kept(connection, kind, days)
            connection.execute(  # rows that repeat others were not kept
                f"""INSERT INTO dropped SELECT kind, day, n_landed - n_forgotten - coalesce(n_staged, 0), n_forgotten
                    FROM partitions
                    LEFT JOIN (SELECT landed AS day, count(*) AS n_staged FROM staged_{kind} GROUP BY 1) USING (day)
                    WHERE kind = '{kind}' AND list_contains($days, day)""",
                {"days": days},
            )
        return cls._of(connection, partitions)

    @classmethod
    def _of(cls, connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition]) -> "Staged":
        connection.execute("CREATE OR REPLACE TEMP TABLE staged_days (day DATE)")
        days = [(partition.day,) for partition in partitions if partition.kind == "events"]
        if days:
            connection.executemany("INSERT INTO staged_days VALUES (?)", days)
        return cls(connection, tuple(partitions))

    def judge_catalogue(self) -> None:
        """Find the faults of staged items and users, row by row."""
        for kind in ("items", "users"):
            self.connection.execute(query(f"judge_{kind}"))

    def judge_events(
        self,
        actions: Mapping[str, Action],
        rules: Rules,
        refused_items: Iterable[dt.date] = (),
        spoilt_items: Iterable[dt.date] = (),
    ) -> None:
        """Find the faults of staged events, row by row, against the catalogue without its refused partitions.

        Those among them that would only have replaced good rows, which stay, are `spoilt`.
        """
        bounds = pa.Table.from_pylist(
            [{"name": name, "lowest": action.lowest, "highest": action.highest} for name, action in actions.items()]
        )
        self.connection.register("given_actions", bounds)
        self.connection.execute("CREATE OR REPLACE TEMP TABLE known_actions AS FROM given_actions")
        self.connection.unregister("given_actions")
        days = {"days": self.days("items"), "refused": list(refused_items), "spoilt": list(spoilt_items)}
        how = {"whole": rules.catalogue == "whole", "late_days": rules.late_days}
        self.connection.execute(query("known_items"), days | how)
        asked = {"await_backfill": rules.late_events == "backfill", "admit_unknown": rules.unknown_items == "stub"}
        self.connection.execute(query("judge_events"), asked | {"late_days": rules.late_days})
        self.connection.execute(query("find_repeats"))
        self.connection.execute(query("spread_events"))

    def rows(self, kind: Kind) -> pa.Table:
        """The staged rows of a small kind, with the day they landed for."""
        return self.connection.sql(f"SELECT * EXCLUDE (line, raw) FROM staged_{kind} ORDER BY rowid").to_arrow_table()

    def days(self, kind: Kind) -> list[dt.date]:
        """The days of the staged partitions of a kind, ascending."""
        return sorted(partition.day for partition in self.partitions if partition.kind == kind)

    def catalogue_ratios(
        self, rules: Rules, refused: Iterable[dt.date] = (), spoilt: Iterable[dt.date] = ()
    ) -> dict[dt.date, float | None]:
        """Items that could be recommended after each staged items partition, as a ratio to those before it.

        Refused partitions are left out; those that would only have replaced good rows, which stay, are `spoilt`.
        """
        days = {"days": self.days("items"), "refused": list(refused), "spoilt": list(spoilt)}
        asked = days | {"whole": rules.catalogue == "whole"}
        rows = self.connection.execute(query("catalogue_sizes"), asked).fetchall()
        return {day: after / before if before else None for day, after, before in rows}

    def day_metrics(self, rules: Rules) -> dict[dt.date, Metrics]:
        """The metrics of every staged day of events, and of those in the logs that now look otherwise beside them."""
        counts = _by_day(self.connection.sql(query("day_counts")))
        bounds = ("trailing_days", "min_trailing_days", "min_same_weekdays", "min_drift_rows")
        compared = self.connection.sql(query("day_comparisons"), params={name: getattr(rules, name) for name in bounds})
        recorded = self.connection.execute("SELECT day, metrics FROM partitions WHERE kind = 'events'").fetchall()
        own = {day: json.loads(metrics) for day, metrics in recorded} | counts
        found: dict[dt.date, Metrics] = {}
        for day, beside in _by_day(compared).items():
            is_comparable = beside.pop("is_comparable")
            novelty = {name: own[day].get(name) if is_comparable else None for name in NOVELTY}
            mixes = {name: beside[name] if is_comparable else None for name in COMPARED}
            found[day] = own[day] | mixes | novelty if day in counts else own[day] | mixes
        return found

    def reasons(self, partitions: Sequence[Partition]) -> dict[str, int]:
        """How many staged rows of some of the partitions carry each reason."""
        unions = " UNION ALL ".join(
            f"""SELECT unnest(reasons) AS reason FROM faulty_{kind}
                WHERE landed IN {days_in(p.day for p in partitions if p.kind == kind)}"""
            for kind in KINDS
        )
        rows = self.connection.execute(f"SELECT reason, count(*) FROM ({unions}) GROUP BY reason ORDER BY reason")
        return dict(rows.fetchall())


def _by_day(relation: duckdb.DuckDBPyRelation) -> dict[dt.date, Metrics]:
    rows = relation.to_arrow_table().to_pylist()
    return {row.pop("day"): row for row in rows}
