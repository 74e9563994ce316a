"""Online Retail: the invoices of a British gift wholesaler, with all their dirt."""

from storage.datasets.writing import DatasetAdapter

ONLINE_RETAIL = DatasetAdapter(
    name="online-retail",
    files=("lines.parquet",),
    folder="online_retail",
    script="online_retail.sql",
    cure="Name the folder that holds it with --source DIR.",
)
