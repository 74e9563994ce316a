"""A trained MTMH as plain values: tables as arrays, towers as ONNX graphs; and back into a model to train on."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from retrieval.domain import Dataset, State
from retrieval.export import check_parity, export, run_graph
from retrieval.nets.mtmh import Mtmh
from retrieval.preranking import Preranker, key_of
from retrieval.vocabulary import Vocabulary


def rows_of(name: str) -> str | None:
    """The vocabulary that a table's rows follow; None for a layer."""
    if not name.startswith("tables."):
        return None
    return "item_features" if "item_feature" in name else "items"


def vocabularies_of(dataset: Dataset) -> dict[str, Vocabulary]:
    """What the tables have a row for."""
    return {"items": dataset.catalogue.ids, "item_features": dataset.catalogue.feature_names}


def to_state(model: Mtmh, dataset: Dataset, prerankers: Mapping[str, Preranker], facts: Mapping[str, object]) -> State:
    """Tables, towers, prerankers and the names of the tables' rows."""
    model.eval()
    features = dataset.catalogue.features
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays |= {"features.offsets": features.offsets, "features.values": features.values}
    arrays |= {key_of(head): preranker.weights for head, preranker in prerankers.items()}
    graphs, difference = _graphs(model)
    names = {name: vocabulary.ids for name, vocabulary in vocabularies_of(dataset).items()}
    return State(arrays, dict(facts) | {"onnx_error": difference}, graphs, names)


def _graphs(model: Mtmh) -> tuple[dict[str, bytes], float]:
    """Each tower exported, and the largest difference from torch on random inputs.

    Raises:
        ModelError: when a graph does not do what the module does.
    """
    sizes, draw = model.sizes, torch.Generator().manual_seed(0)

    def random(width: int) -> Tensor:
        return torch.randn(5, width, generator=draw)

    inputs = {"bag": random(sizes.dim), "text": random(sizes.text_dim), "dense": random(sizes.n_dense)}
    graphs, differences = {}, []
    for side in range(model.n_sides):
        tower, name = model.tower_of(side), f"tower_{side}"
        graphs[name] = export(tower, inputs, {key: {0: "rows"} for key in inputs}, "vectors")
        with torch.no_grad():
            expected = tower(**inputs).numpy()
        found = run_graph(graphs[name], {key: value.numpy() for key, value in inputs.items()})
        differences.append(check_parity(np.asarray(expected), found, name))
    return graphs, max(differences)
