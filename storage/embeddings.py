"""Vectors of texts by digest of the text, kept for ever: a night encodes only texts it has never met."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from storage.durable import staged_folder, sweep_staging

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class TextVectors:
    """The cache of one encoder: a folder of immutable segments, each keys and vectors."""

    folder: Path

    def lookup(
        self, texts: pa.StringArray, encode: Callable[[list[str]], Float32[np.ndarray, "texts dim"]]
    ) -> tuple[Float32[np.ndarray, "texts dim"], int]:
        """The vector of every text, encoding and keeping those not met before; also how many those were."""
        keys = _keys(texts)
        known_keys, known = self._load()
        places = np.searchsorted(known_keys, keys)
        found = np.zeros(len(keys), bool)
        inside = places < len(known_keys)
        found[inside] = known_keys[places[inside]] == keys[inside]
        if found.all():
            return known[places], 0
        new, firsts, again = np.unique(keys[~found], return_index=True, return_inverse=True)
        made = encode([texts[int(row)].as_py() for row in np.flatnonzero(~found)[firsts]])
        self._add(new, made)
        vectors = np.zeros((len(keys), made.shape[1]), np.float32)
        vectors[~found] = made[again]
        if found.any():
            vectors[found] = known[places[found]]
        return vectors, len(new)

    def _load(self) -> tuple[np.ndarray, np.ndarray]:
        segments = sorted(path for path in self.folder.glob("segment-*") if path.is_dir())
        if not segments:
            return np.zeros(0, f"S{2 * KEY_BYTES}"), np.zeros((0, 0), np.float32)
        keys = np.concatenate([np.load(segment / "keys.npy", allow_pickle=False) for segment in segments])
        vectors = np.concatenate([np.load(segment / "vectors.npy", allow_pickle=False) for segment in segments])
        order = np.argsort(keys, kind="stable")
        return keys[order], vectors[order]

    def _add(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        sweep_staging(self.folder)
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
        target = self.folder / f"segment-{name}"
        if target.exists():
            return
        with staged_folder(target) as staging:
            np.save(staging / "keys.npy", keys, allow_pickle=False)
            np.save(staging / "vectors.npy", vectors.astype(np.float32), allow_pickle=False)


def _keys(texts: pa.StringArray) -> np.ndarray:
    digests = [hashlib.sha256(text.encode()).hexdigest()[: 2 * KEY_BYTES] for text in texts.to_pylist()]
    return np.array(digests, f"S{2 * KEY_BYTES}")
