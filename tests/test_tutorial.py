"""The tutorial's commands do what it says, run as they are written, in a folder of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import Place
from release_places import free_port

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```bash *(\w*)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def commands(*kinds: str) -> str:
    """The blocks of these kinds in order, as one script: variables that are set stay set."""
    return "set -euo pipefail\n" + "\n".join(block for kind, block in BLOCKS if kind in kinds)


def run(script: str, folder: Path, **variables: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LAMPLIGHTER_"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PREFECT_HOME": str(folder / ".prefect"),
    }
    environment |= variables
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_of_the_tutorial_is_one_that_is_run() -> None:
    assert TUTORIAL.count("```") == 2 * len(BLOCKS)
    assert {kind for kind, _ in BLOCKS} == {"", "server"}


@pytest.mark.slow  # two nights with the real text encoder: two minutes
def test_the_tutorial_ends_with_a_live_release_and_a_refused_day(tmp_path: Path) -> None:
    said = run(commands(""), tmp_path)
    assert said.index("is live") < said.index("✓ All is well") < said.index("refused, as it should be")
    assert "status says what to do" in said
    assert "missing_user" in said


@pytest.mark.slow  # a server and a worker of their own: a minute
def test_the_tutorial_s_schedule_is_put_up_and_taken_down(place: Place, tmp_path: Path) -> None:
    where = {"LAKE": place.lake.root, "LANDING": place.landing, "RECIPE": place.recipe_file, "PORT": free_port()}
    said = run(commands("server"), tmp_path, **{f"LAMPLIGHTER_{name}": str(value) for name, value in where.items()})
    assert "PREFECT_API_URL" in said and "fit for nights" in said
