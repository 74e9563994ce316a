"""A reader that goes from release to release under load, against the same reader at rest in the same process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import landed
from served import Served, two_nights

from retrieval.synthetic import planted_world

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
SUPPORT, ROOT = Path(__file__).parents[1] / "support", Path(__file__).parents[2]
N_ITEMS, DIM, N_SWAPS, PER_SECOND = 100_000, 64, 100, 25
LARGER = {"dim = 8": f"dim = {DIM}", "links = 8": "links = 16\nmin_recall = 0.9"}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Served:
    """Two nights over a catalogue of a real size; LAMPLIGHTER_BENCH_RELEASES names them where they were made before."""
    made = os.environ.get("LAMPLIGHTER_BENCH_RELEASES")
    if made:
        former, latter = sorted(path.parent.name for path in Path(made).glob("*/manifest.json"))
        return Served(Path(made), former, latter)
    world = planted_world(n_users=3000, n_items=N_ITEMS, n_days=6, n_groups=4, minority=0.6)
    place = landed(tmp_path_factory.mktemp("large"), world)
    recipe = place.recipe_file.read_text()
    for small, large in LARGER.items():
        recipe = recipe.replace(small, large)
    place.recipe_file.write_text(
        f"{recipe}\n[gate.floors]\n'recall@100' = 0.0\n'nDCG@10' = 0.0\n'coverage@100' = 0.0\n"
    )  # so many items are too wide a choice
    return two_nights(place)


def test_a_hundred_swaps_fail_no_call_mix_no_answer_and_at_most_double_the_slowest_of_a_hundred(large: Served) -> None:
    command = [sys.executable, str(SUPPORT / "load.py"), str(large.root), large.former, large.latter]
    command += [str(N_SWAPS), str(PER_SECOND)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    rest, swap = found["rest"], found["swap"]
    print(
        f"\n{N_SWAPS} swaps of {N_ITEMS:,} items x {DIM} under {PER_SECOND} calls a second: {found['n_calls']:,} calls, "
        f"{found['n_failed']} failed, {found['n_mixed']} mixed; a swap takes {found['swap_ms']:.0f} ms\n"
        f"at rest  p50 {rest['p50_ms']:.1f} ms, p99 {rest['p99_ms']:.1f} ms ({rest['n']:,} calls)\n"
        f"swapping p50 {swap['p50_ms']:.1f} ms, p99 {swap['p99_ms']:.1f} ms ({swap['n']:,} calls): "
        f"{swap['p99_ms'] / rest['p99_ms']:.2f} times as long"
    )
    assert (found["n_failed"], found["n_mixed"]) == (0, 0)
    assert swap["p99_ms"] <= 2 * rest["p99_ms"]
