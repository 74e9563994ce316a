"""Texts to unit vectors: a sentence encoder in ONNX Runtime, no torch at run time."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from pydantic import Field

from retrieval.progress import advance
from retrieval.rules import FrozenModel

BATCH = 32


@runtime_checkable
class TextEncoder(Protocol):
    """Texts in, unit vectors out."""

    @property
    def digest(self) -> str:
        """Names the weights and the precision: equal digests encode alike."""
        ...

    @property
    def dim(self) -> int: ...

    def encode(self, texts: list[str]) -> Float32[np.ndarray, "texts dim"]: ...


class TextConfig(FrozenModel):
    """Which encoder gives the content vectors."""

    encoder: Literal["minilm", "hashed"] = "minilm"
    """minilm: all-MiniLM-L6-v2 from the installed package; hashed: a bag of hashed words, for fast tests."""
    precision: Literal["auto", "int8", "fp32"] = "auto"
    """auto takes INT8 when its neighbours agree with FP32's, FP32 otherwise."""
    min_agreement: float = Field(default=0.9, ge=0, le=1)
    """Least share of FP32's 10 nearest neighbours that INT8 has to find."""
    probe_texts: int = Field(default=256, ge=20)
    """Texts the agreement is measured on."""
    max_tokens: int = Field(default=64, ge=8, le=512)
    """Longer texts are cut."""


@dataclass(frozen=True, slots=True)
class HashedEncoder:
    """A random unit direction a word, summed: words shared are similarity shared."""

    dim: int = 64

    @property
    def digest(self) -> str:
        return f"hashed-{self.dim}"

    def encode(self, texts: list[str]) -> Float32[np.ndarray, "texts dim"]:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        directions: dict[str, np.ndarray] = {}
        for row, text in enumerate(texts):
            for word in text.lower().split():
                if word not in directions:
                    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
                    directions[word] = np.random.default_rng(seed).standard_normal(self.dim).astype(np.float32)
                vectors[row] += directions[word]
        return unit(vectors)


class OnnxEncoder:
    """A sentence encoder's ONNX graph with its tokenizer; tokens are padded to the longest of a batch."""

    def __init__(self, graph: Path, tokenizer: Path, digest: str, max_tokens: int) -> None:
        import onnxruntime as ort
        from tokenizers import Tokenizer

        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.enable_padding()
        self.graph, self.tokenizer, self.max_tokens = graph, tokenizer, max_tokens
        self._digest = digest

    @property
    def digest(self) -> str:
        return self._digest

    @property
    def dim(self) -> int:
        return int(self._session.get_outputs()[0].shape[-1])

    def encode(self, texts: list[str]) -> Float32[np.ndarray, "texts dim"]:
        """Batches are made of texts of like length, so little is padding; the order of the texts is kept."""
        order = np.argsort([len(text) for text in texts], kind="stable")
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), BATCH):
            advance("encode texts", start, len(texts))
            rows = order[start : start + BATCH]
            tokens = self._tokenizer.encode_batch([texts[row] for row in rows])
            feed = {
                "input_ids": np.array([t.ids for t in tokens], np.int64),
                "attention_mask": np.array([t.attention_mask for t in tokens], np.int64),
            }
            vectors[rows] = self._session.run(None, feed)[0]
        return vectors


def unit(vectors: Float32[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    """Each row scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)


def neighbour_agreement(
    reference: Float32[np.ndarray, "rows dim"], other: Float32[np.ndarray, "rows dim"], k: int = 10
) -> float:
    """Share of each row's k nearest rows that two encodings have in common."""

    def nearest(vectors: np.ndarray) -> np.ndarray:
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -np.inf)
        return np.argpartition(-similarity, k, axis=1)[:, :k]

    one, two = nearest(reference), nearest(other)
    return float((one[:, :, None] == two[:, None, :]).any(axis=2).mean())
