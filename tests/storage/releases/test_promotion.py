"""A release becomes live by its night's verdict or by a person's word, and a refused one by nobody's."""

import json
from pathlib import Path

import pytest
from bundles import NOW, add, contents, day_of, facts_of, fill_with, nights, promote, roll_back

from retrieval.errors import ReleaseError
from storage.bundle import RELEASE
from storage.releases import ReleaseStore


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(tmp_path / "releases")


def judged(store: ReleaseStore, offset: int, decision: str) -> str:
    """A release that its night decided on so, beside what is live."""
    id_ = f"{day_of(offset)}-{decision}"
    facts = facts_of(id_, day_of(offset), None, store.current_id()) | {
        "decision": decision,
        "reasons": ["too few found."],
    }
    store.add(id_, fill_with(contents(id_, None) | {RELEASE: json.dumps(facts).encode()}))
    return id_


def test_what_the_gate_holds_becomes_live_by_a_persons_word_alone(store: ReleaseStore) -> None:
    (live,) = nights(store, 1)
    held = judged(store, 1, "hold")
    outcome = store.promote(held, at=NOW, who="night@host", why="the night")
    assert (outcome.is_live, outcome.reason) == (False, "the gate held it: too few found.")
    assert store.current_id() == live
    assert store.promote(held, at=NOW, who="ada@host", why="seen", approved=True).is_live
    assert store.current_id() == held


def test_what_an_acceptance_test_refused_becomes_live_by_nobodys_word(store: ReleaseStore) -> None:
    (live,) = nights(store, 1)
    refused = judged(store, 1, "refuse")
    assert not store.promote(refused, at=NOW, who="night@host", why="the night", approved=True).is_live
    with pytest.raises(ReleaseError, match="was refused and can never become live: too few found"):
        promote(store, refused, by_hand=True)
    with pytest.raises(ReleaseError, match="was refused and can never become live"):
        roll_back(store, refused)
    assert store.current_id() == live


def test_a_night_that_was_compared_with_another_release_than_the_live_one_does_not_replace_it(
    store: ReleaseStore,
) -> None:
    first, second = nights(store, 2)
    late = add(store, 2)
    roll_back(store, first, hold=False)
    outcome = store.promote(late, at=NOW, who="night@host", why="the night")
    assert outcome.reason == f"{first} is live now, it was compared with {second}; run its night again"
    assert store.current_id() == first
    assert promote(store, late, by_hand=True)
