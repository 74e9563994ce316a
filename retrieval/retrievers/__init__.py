"""The families: a new one is one file and one name here."""

from typing import Annotated

from pydantic import Field

from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.sequence_tower import SequenceTowerConfig
from retrieval.retrievers.two_tower import ContentTwoTowerConfig, TwoTowerConfig

AnyFamily = Annotated[
    PopularConfig | ItemKnnConfig | TwoTowerConfig | ContentTwoTowerConfig | SequenceTowerConfig,
    Field(discriminator="kind"),
]
FAMILIES: tuple[
    type[PopularConfig | ItemKnnConfig | TwoTowerConfig | ContentTwoTowerConfig | SequenceTowerConfig], ...
] = (
    PopularConfig,
    ItemKnnConfig,
    TwoTowerConfig,
    ContentTwoTowerConfig,
    SequenceTowerConfig,
)
