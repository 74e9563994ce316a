"""What a night takes by the size of its world: `make sizing` prints the table of docs/operations.md.

Planted worlds of three sizes; of each a first night, which loads all days and trains from nothing, and the next one.
CPU seconds are of the command's process, user and system: unlike seconds on the clock they are nearly the same on a busy
machine. Memory is its greatest resident set.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from places import landed

from retrieval.synthetic import planted_world

ROOT = Path(__file__).parents[2]
SIZES = ((500, 1_000), (5_000, 5_000), (20_000, 20_000))
"""Users and items."""
DAYS = 30
RECIPE = """
name = "sizing"
[actions]
purchase = { sign = "+" }
return = { sign = "-" }
[history]
days = 365
[sources.popular]
kind = "popular"
[sources.item_knn]
kind = "item_knn"
[sources.two_tower]
kind = "two_tower"
dim = 64
"""


def timed(command: list[str]) -> tuple[float, float]:
    """CPU seconds and GiB of a command that has to end well."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1 << 20)


def size_of(folder: Path) -> float:
    """GB on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def main() -> None:
    print(
        "| users | items | events | first night, CPU | next night, CPU | memory | lake | a release |\n|---|---|---|---|---|---|---|---|"
    )
    for n_users, n_items in SIZES:
        with tempfile.TemporaryDirectory() as root:
            place = landed(Path(root), planted_world(n_users=n_users, n_items=n_items, n_days=DAYS))
            place.recipe_file.write_text(RECIPE)
            runs = []
            for day in place.world.days[-2:]:
                command = [sys.executable, "-c", "from flows.cli import main; main()", "nightly", "--approve"]
                runs.append(timed([*command, "--day", str(day), *place.options, "--json"]))
            first, second = runs
            newest = place.lake.releases / place.releases()[-1]
            print(
                f"| {n_users:,} | {n_items:,} | {place.world.log.num_rows:,} | {first[0]:,.0f} s | {second[0]:,.0f} s "
                f"| {max(first[1], second[1]):.1f} GiB | {size_of(place.lake.root):.2f} GB | {size_of(newest):.2f} GB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
