"""The families: a new one is one file and one name here."""

from typing import Annotated, get_args

from pydantic import Field

from retrieval.retrievers.als import AlsConfig
from retrieval.retrievers.bpr import BprConfig
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.explore import ExploreConfig
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.retrievers.recent_items import RecentItemsConfig
from retrieval.retrievers.sequence_tower import SequenceTowerConfig
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.retrievers.two_tower import ContentTwoTowerConfig, TwoTowerConfig
from retrieval.retrievers.user_knn import UserKnnConfig

Family = (
    PopularConfig
    | ItemKnnConfig
    | UserKnnConfig
    | AlsConfig
    | BprConfig
    | EaseConfig
    | ExploreConfig
    | SequentialLinearConfig
    | RecentItemsConfig
    | TwoTowerConfig
    | ContentTwoTowerConfig
    | SequenceTowerConfig
    | MtmhConfig
)
AnyFamily = Annotated[Family, Field(discriminator="kind")]
FAMILIES: tuple[type[FamilyConfig], ...] = get_args(Family)
