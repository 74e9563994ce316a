"""Nothing is unpickled: not in the code, not when a release is read, not where a pickle lies."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from served import Served

from retrieval.errors import ReleaseError
from storage.manifest import Manifest
from storage.opening import Origin
from storage.reader import read_display

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "storage", "validation", "retrieval")

FORBIDDEN = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNPICKLING = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize(
    "module", [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))], ids=str
)
def test_no_module_imports_or_calls_what_unpickles(module: Path) -> None:
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & FORBIDDEN, module
    for name, call in calls(tree):
        assert name not in ("torch.load", "torch.save", "eval", "exec", "compile"), f"{module}: {name}"
        assert name.rpartition(".")[2] not in UNPICKLING, f"{module}: {name}"
        if name in ("np.load", "np.save", "numpy.load"):
            said = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert said.get("allow_pickle") == "False", f"{module}: {ast.unparse(call)}"


READERS = """
import sys
from pathlib import Path
import importlib
for package in ("storage", "retrieval", "tasks", "validation"):
    for path in sorted(Path(package).rglob("*.py")):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
unpickled = []
sys.addaudithook(lambda event, values: unpickled.append(values) if event.startswith("pickle.") else None)
from storage.serving import open_release
from storage.spaces import read_source
from storage.states import read_state
recommender = open_release(sys.argv[1])
snapshot = recommender.opened.snapshot
users = snapshot.dataset.people.ids.ids.to_pylist()[:5]
items = snapshot.dataset.catalogue.ids.ids.to_pylist()[:5]
assert recommender.recommend(users, why=True).ids and recommender.similar(items).ids and recommender.search(["milk"]).ids
for state in sorted(Path(sys.argv[1]).rglob("facts.json")):
    read_state(state.parent)
print("unpickled", unpickled)
"""


def test_reading_every_part_of_a_release_unpickles_nothing(released: Served) -> None:
    command = [sys.executable, "-c", READERS, str(released.folder(released.latter))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "unpickled []", done.stderr


class Planted:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


PLANTED = ["sources/two_tower/vectors.npy", "text_vectors.npy", "histories", "sources/two_tower/index.faiss"]


@pytest.mark.parametrize("part", PLANTED)
def test_a_pickle_in_the_place_of_an_artifact_is_refused_and_never_runs(
    served: Served, tmp_path: Path, part: str
) -> None:
    import pickle

    mark, folder = tmp_path / "ran", served.folder(served.latter)
    target = next((folder / part).glob("*.npy")) if (folder / part).is_dir() else folder / part
    if target.suffix == ".npy":
        np.save(target, np.array([Planted(mark)], dtype=object), allow_pickle=True)
    else:
        target.write_bytes(pickle.dumps(Planted(mark)))
    Manifest.of_folder(folder, {}).write(folder)  # whoever can write there can do that as well
    with pytest.raises(ReleaseError, match="torn"):
        Origin(served.store, served.latter).open(full=False)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists(), "it would have run"


def test_a_pickle_in_the_place_of_what_people_are_shown_never_runs(served: Served, tmp_path: Path) -> None:
    import pickle

    (tmp_path / "items.parquet").write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    with pytest.raises(pa.ArrowInvalid):
        read_display(tmp_path, [0])
    assert not (tmp_path / "ran").exists()
