"""Steam: reviews of games that recommend them or do not, by the day."""

from storage.datasets.writing import DatasetAdapter

STEAM = DatasetAdapter(
    name="steam",
    files=("reviews.parquet", "games.parquet"),
    folder="steam_reviews",
    script="steam.sql",
    cure="Name the folder that holds them with --source DIR.",
)
