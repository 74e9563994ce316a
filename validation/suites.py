"""The one place that asks Great Expectations."""

from collections.abc import Sequence
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd


def validate(frame: pd.DataFrame, suite: Sequence[gxe.Expectation]) -> list[Any]:
    """The result of every expectation on a table; of one that failed, with the index of each row that did."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_pandas("landed")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )

    def results(expectations: Sequence[gxe.Expectation], detail: str) -> list[Any]:
        asked = gx.ExpectationSuite("landed", expectations=list(expectations))
        return list(batch.validate(asked, result_format={"result_format": detail}).results)

    quick = results(suite, "BOOLEAN_ONLY")
    failed = [result.expectation_config.to_domain_obj() for result in quick if not result.success]
    passed = [result for result in quick if result.success]
    return passed + (results(failed, "COMPLETE") if failed else [])


def failed_rows(result: Any) -> list[int]:
    """The rows that failed an expectation."""
    return list(result.result.get("unexpected_index_list") or [])
