"""A trained two-tower as plain values: tables as arrays, towers as ONNX graphs; and back into a model to train on."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from retrieval.domain import Catalogue, Dataset, State
from retrieval.export import check_parity, export, run_graph
from retrieval.nets.two_tower import Sizes, TwoTower
from retrieval.retrievers.two_tower import BALANCE
from retrieval.tastes import N_COUNTS, ItemFeatures
from retrieval.vocabulary import Vocabulary

ITEM_TOWER, USER_TOWER = "item_tower", "user_tower"
ROWS_OF = {
    "tables.item.weight": "items",
    "tables.chosen_item.weight": "items",
    "tables.item_feature.weight": "item_features",
    "tables.user_feature.weight": "user_features",
}
"""Which vocabulary the rows of a table follow; tables named `tables.chosen_feature.*` follow the item features."""


def to_state(model: TwoTower, dataset: Dataset, losses: list[float], *, is_warm: bool) -> State:
    """Tables, towers and the names of the tables' rows."""
    model.eval()
    known = features_of(dataset.catalogue, model.sizes.n_item_features)
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays[BALANCE] = np.ones(model.sizes.width, np.float32)
    arrays |= {
        "features.offsets": known.matrix.indptr.astype(np.int64),
        "features.values": known.matrix.indices.astype(np.int32),
        "features.fields": known.fields,
    }
    graphs, difference = _graphs(model)
    newest = losses[-10:]
    facts: dict[str, object] = {
        "loss": round(float(np.mean(newest)), 4) if newest else None,
        "n_steps": len(losses),
        "warm": is_warm,
        "onnx_error": difference,
    }
    return State(arrays, facts, graphs, {name: ids.ids for name, ids in vocabularies_of(dataset, model.sizes).items()})


def features_of(catalogue: Catalogue, n_features: int) -> ItemFeatures:
    """The features that a model looks at: those of the catalogue, or none."""
    if n_features:
        return ItemFeatures.of(catalogue.features, catalogue.feature_fields())
    return ItemFeatures.none(len(catalogue))


def rows_of(name: str) -> str | None:
    """The vocabulary that a table's rows follow; None for a layer."""
    return ROWS_OF.get(name, "item_features" if name.startswith("tables.chosen_feature") else None)


def vocabularies_of(dataset: Dataset, sizes: Sizes) -> dict[str, Vocabulary]:
    """What the tables have a row for; nothing where the model does not look."""
    none = Vocabulary(pa.array([], pa.string()), "nothing")
    return {
        "items": dataset.catalogue.ids if sizes.n_items else none,
        "item_features": dataset.catalogue.feature_names if sizes.n_item_features else none,
        "user_features": dataset.people.feature_names,
    }


def _graphs(model: TwoTower) -> tuple[dict[str, bytes], float]:
    """Both towers exported, and the largest difference from torch on random inputs.

    Raises:
        ModelError: when a graph does not do what the module does.
    """
    draw, sizes = torch.Generator().manual_seed(0), model.sizes

    def random(width: int) -> Tensor:
        return torch.randn(5, width, generator=draw)

    item_inputs = {"bag": random(sizes.dim)}
    if sizes.text_dim:
        item_inputs["text"] = random(sizes.text_dim)
    if sizes.n_trends:
        item_inputs["trends"] = random(sizes.n_trends)
    user_inputs = {"bag": random(sizes.dim), "counts": random(N_COUNTS), "weekday": torch.arange(5)}
    if sizes.n_items:
        user_inputs["items"] = torch.randn(sizes.n_spans, 5, sizes.dim, generator=draw)
    graphs, differences = {}, []
    towers: tuple[tuple[str, torch.nn.Module, dict[str, Tensor]], ...] = (
        (ITEM_TOWER, model.item_tower, item_inputs),
        (USER_TOWER, model.user_tower, user_inputs),
    )
    for name, tower, inputs in towers:
        graphs[name] = export(tower, inputs, {key: {int(key == "items"): "rows"} for key in inputs}, f"{name}_vector")
        with torch.no_grad():
            expected = tower(**inputs).numpy()
        found = run_graph(graphs[name], {key: value.numpy() for key, value in inputs.items()})
        differences.append(check_parity(expected, found, name))
    return graphs, max(differences)
