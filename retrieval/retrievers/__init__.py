"""The families: a new one is one file and one name here."""

from typing import Annotated

from pydantic import Field

from retrieval.retrievers.als import AlsConfig
from retrieval.retrievers.bpr import BprConfig
from retrieval.retrievers.explore import ExploreConfig
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.two_tower import TwoTowerConfig

AnyFamily = Annotated[
    PopularConfig | ItemKnnConfig | AlsConfig | BprConfig | ExploreConfig | TwoTowerConfig, Field(discriminator="kind")
]
FAMILIES: tuple[type[PopularConfig | ItemKnnConfig | AlsConfig | BprConfig | ExploreConfig | TwoTowerConfig], ...] = (
    PopularConfig,
    ItemKnnConfig,
    AlsConfig,
    BprConfig,
    ExploreConfig,
    TwoTowerConfig,
)
