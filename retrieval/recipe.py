"""HOW a night is done: a frozen TOML file whose id is the digest of its content."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from retrieval.batch import BatchConfig
from retrieval.blend import BLEND, AnyBlend, RankFusionConfig
from retrieval.convergence_rules import ConvergenceConfig
from retrieval.errors import RecipeError
from retrieval.evaluation import Pairs
from retrieval.index import IndexConfig
from retrieval.policies import PolicyConfig
from retrieval.release_rules import AcceptanceConfig, GateConfig
from retrieval.retrievers import AnyFamily
from retrieval.rules import Action, FrozenModel, Rules
from retrieval.schedule import ScheduleConfig
from retrieval.similarity import SimilarConfig
from retrieval.text import TextConfig


class HistoryConfig(FrozenModel):
    """Which events models learn from, and what is read off them."""

    days: int = Field(default=400, ge=1)
    """How far back before the day events are read."""
    context_keys: tuple[str, ...] = ()
    """Keys of the events' context whose most frequent value becomes a feature of the user."""
    crosses: tuple[tuple[str, str], ...] = ()
    """Pairs of item fields whose joint value is a feature too: an attribute's key, or topic1, topic2 and so on."""


class ServingConfig(FrozenModel):
    """What readers of a release get."""

    exclude_seen: bool = False
    """Whether recommendations leave out what the user has chosen before."""
    blocked_items: tuple[str, ...] = ()
    """Ids of items that nobody may get."""
    blocked_topics: tuple[str, ...] = ()
    """Topics none of whose items anybody may get."""

    @property
    def pairs(self) -> Pairs:
        """Which pairs tell how good a release is for those who get it."""
        return "new" if self.exclude_seen else "all"


class EvaluationConfig(FrozenModel):
    """How the newest day is measured."""

    max_users: int = Field(default=20_000, ge=1)
    """More users than this are sampled, with the recipe's seed."""
    mixing_users: int = Field(default=1000, ge=1)
    """Of these, how many at most are dealt to again and again, to find out what each source is worth."""


class RetentionConfig(FrozenModel):
    """Which releases stay in the store after a night whose own became live."""

    keep: int = Field(default=30, ge=1)
    """The newest; the live one, those it was made from and compared with, and the pinned stay in any case."""
    grace_hours: float = Field(default=24.0, ge=0, allow_inf_nan=False)
    """How long a reader may still hold what is not live any more."""


def _file_names(sources: dict[str, AnyFamily]) -> dict[str, AnyFamily]:
    """Sources' names become those of folders: nothing in them may lead elsewhere."""
    for name in sources:
        if not name.replace("_", "").replace("-", "").isalnum() or name == BLEND:
            raise ValueError(f"source {name!r} is no name: use letters, digits, - and _, and not the word blend")
    return sources


class AnsweringRecipe(BaseModel):
    """What a reader needs of the recipe that a release was made by; what else it says is no concern of answering."""

    model_config = ConfigDict(frozen=True)

    sources: Annotated[dict[str, AnyFamily], AfterValidator(_file_names)]
    blend: AnyBlend
    policy: PolicyConfig
    serving: ServingConfig


class Recipe(FrozenModel):
    """Everything that decides what a night makes of its logs."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = 17
    actions: dict[str, Action] = Field(min_length=1)
    rules: Rules = Rules()
    history: HistoryConfig = HistoryConfig()
    text: TextConfig = TextConfig()
    index: IndexConfig = IndexConfig()
    sources: Annotated[dict[str, AnyFamily], AfterValidator(_file_names)] = Field(min_length=1)
    blend: AnyBlend = RankFusionConfig()
    policy: PolicyConfig = PolicyConfig()
    serving: ServingConfig = ServingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    similar: SimilarConfig = SimilarConfig()
    acceptance: AcceptanceConfig = AcceptanceConfig()
    gate: GateConfig = GateConfig()
    convergence: ConvergenceConfig = ConvergenceConfig()
    retention: RetentionConfig = RetentionConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    batch: BatchConfig = BatchConfig()

    @property
    def id(self) -> str:
        """The digest of the recipe's canonical JSON, 12 hexadecimal digits."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @model_validator(mode="after")
    def _blend_names_sources(self) -> Self:
        for key, names in self.blend.named().items():
            unknown = sorted(set(names) - set(self.sources))
            if unknown:
                raise ValueError(f"blend.{key} names {unknown}, but sources are {sorted(self.sources)}")
        if not any(self.blend.weight(name) for name in self.sources):
            keys = ", ".join(self.blend.named())
            raise ValueError(f"blend.{keys} leaves out every source: let one of them count")
        return self

    @model_validator(mode="after")
    def _batch_names_a_source(self) -> Self:
        known = [*self.sources, BLEND]
        if self.batch.source not in known:
            raise ValueError(f"batch.source is {self.batch.source!r}, but there are {known}: name one of them")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """The recipe of a TOML file.

        Raises:
            RecipeError: naming the file, the key and what it may be.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except FileNotFoundError:
            raise RecipeError(
                f"there is no recipe {path}. Name a file, or one of those in deployments/recipes."
            ) from None
        except OSError as error:
            raise RecipeError(f"{path} cannot be read ({error.strerror}). Name a recipe's file.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is no TOML: {error}. Mend that line.") from error
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'recipe'}: {fault['msg']}" for fault in error.errors()
            )
            raise RecipeError(f"{path} is no valid recipe: {faults}. docs/recipes.md lists the keys.") from error
