"""MovieLens: film ratings, as the set of 100,000 and as the small set of 2016 with plots."""

from storage.datasets.writing import DatasetAdapter

MOVIELENS_100K = DatasetAdapter(
    name="movielens-100k",
    files=("ml-100k.inter", "ml-100k.item", "ml-100k.user"),
    folder="movielens_100k",
    script="movielens_100k.sql",
    cure="Name the folder that holds them with --source DIR.",
)

MOVIELENS_LATEST_SMALL = DatasetAdapter(
    name="movielens-latest-small",
    files=("ratings.csv", "movies.csv", "plots.parquet"),
    folder="movielens_latest_small",
    script="movielens_latest_small.sql",
    cure="Name the folder that holds them with --source DIR.",
)
