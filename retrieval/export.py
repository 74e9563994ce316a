"""Torch modules to ONNX: one file, no traces of the machine, checked against torch before anybody relies on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from retrieval.errors import ModelError


def export(module: nn.Module, inputs: dict[str, Tensor], dynamic: dict[str, dict[int, str]], output: str) -> bytes:
    """The ONNX graph of a module, with the named axes of its inputs left open."""
    names = {axis for axes in dynamic.values() for axis in axes.values()}
    dims = {name: torch.export.Dim(name, min=1, max=1 << 20) for name in sorted(names)}
    shapes = {name: {axis: dims[dim] for axis, dim in dynamic.get(name, {}).items()} for name in inputs}
    with _quietly():
        program = torch.onnx.export(
            module.eval(),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=20,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch gave no ONNX program. Compare torch and onnxscript with constraints.txt.")
    return _without_traces(program.model_proto)


@contextmanager
def _quietly() -> Iterator[None]:
    """No word about torchvision, which is not needed, nor advice on pre-processing, which changes nothing here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _without_traces(model: onnx.ModelProto) -> bytes:
    """Drop the stack traces that the exporter writes into every node: they name the machine's paths."""
    for holder in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
        value.doc_string = ""
    return model.SerializeToString(deterministic=True)


def run_graph(graph: bytes, feed: dict[str, np.ndarray]) -> np.ndarray:
    """The first output of an ONNX graph."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def check_parity(expected: np.ndarray, found: np.ndarray, what: str, tolerance: float = 1e-4) -> float:
    """The largest difference between torch's and ONNX Runtime's output.

    Raises:
        ModelError: when it exceeds the tolerance.
    """
    difference = float(np.abs(expected - found).max(initial=0.0))
    if not difference <= tolerance:
        raise ModelError(
            f"the ONNX graph of {what} differs from torch by {difference:.2g}, at most {tolerance:g} may. "
            f"The export is not to be trusted: check the versions of torch and onnxscript against constraints.txt."
        )
    return difference


def export_sentence_encoder(model_folder: Path, target: Path) -> None:
    """Write a sentence-transformers folder as `fp32.onnx`, `int8.onnx` and `tokenizer.json`.

    Mean pooling with the attention mask, unit vectors; INT8 is dynamic, per channel.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    class Sentence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = AutoModel.from_pretrained(model_folder, attn_implementation="eager")

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            tokens = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
            return nn.functional.normalize((tokens * mask).sum(1) / mask.sum(1), dim=-1)

    module = Sentence().eval()
    example = {
        "input_ids": torch.tensor([[101, 2054, 2003, 102], [101, 2023, 102, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    }
    axes = {0: "batch", 1: "tokens"}
    graph = export(module, example, dict.fromkeys(example, axes), "sentence_embedding")
    (target / "fp32.onnx").write_bytes(graph)
    _check_sentence_graph(module, target / "fp32.onnx", example)
    with _quietly():
        quantize_dynamic(target / "fp32.onnx", target / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
    (target / "tokenizer.json").write_bytes((model_folder / "tokenizer.json").read_bytes())


def _check_sentence_graph(module: nn.Module, graph: Path, example: dict[str, Tensor]) -> None:
    found = run_graph(graph.read_bytes(), {name: tensor.numpy() for name, tensor in example.items()})
    with torch.no_grad():
        check_parity(module(**example).numpy(), found, "the sentence encoder")
