"""Plain values on disk: arrays as .npy (memory-mapped back), strings as Arrow, facts as JSON, graphs as .onnx."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from retrieval.domain import State


def write_state(folder: Path, state: State) -> None:
    """Write a state into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in state.arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array, order="C"), allow_pickle=False)
    for name, strings in state.strings.items():
        table = pa.table({name: strings})
        with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    for name, graph in state.graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph)
    (folder / "facts.json").write_text(json.dumps(state.facts, indent=1, sort_keys=True))


def read_state(folder: Path) -> State:
    """The state of a folder; arrays are memory-mapped and read-only."""
    arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
    strings = {path.stem: _read_strings(path) for path in sorted(folder.glob("*.arrow"))}
    graphs = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.onnx"))}
    return State(arrays, json.loads((folder / "facts.json").read_text()), graphs, strings)


def _read_strings(path: Path) -> pa.StringArray:
    with pa.memory_map(str(path)) as source:  # the array keeps its pages mapped
        column = pa.ipc.open_file(source).read_all().column(0)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
