"""The curves and verdicts of fresh items, for people at a terminal."""

from typing import Any

from flows import console


def show_convergence(found: dict[str, list[dict[str, Any]]]) -> None:
    """A row a cohort with its median distances by age, and the sentence of each that was judged."""
    medians: dict[tuple[str, ...], list[str]] = {}
    for point in found["curves"]:
        medians.setdefault(_cohort(point), []).append(f"{point['median']:.3f}")
    rows = [
        (*_cohort(verdict), verdict["n_items"], verdict["state"], " ".join(medians[_cohort(verdict)]))
        for verdict in found["verdicts"]
    ]
    columns = ("recipe", "space", "day", "first seen", "items", "state", "distance by age in nights")
    console.print_table("Fresh items", columns, rows)
    for verdict in found["verdicts"]:
        if verdict["state"] != "early":
            said = f"{verdict['space']}, {verdict['first_seen']}: {verdict['sentence']}"
            console.out.print(said, markup=False, soft_wrap=True)


def _cohort(row: dict[str, Any]) -> tuple[str, ...]:
    return row["recipe"], row["space"], row["day"], row["first_seen"]
