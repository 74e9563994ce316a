"""Why a row is set aside; documented in docs/data-contract.md."""

REASONS: dict[str, str] = {
    "missing_user": "the row has no user_id",
    "missing_item": "the row has no item_id",
    "missing_title": "the item has no title",
    "unknown_action": "the action is not in the recipe's actions",
    "unreadable_time": "occurred_at is missing, or cannot be read as a time",
    "future_time": "occurred_at lies after the day of the partition",
    "outside_day": "occurred_at lies more than rules.late_days before the day of the partition",
    "late_event": "the event is of an earlier day, and rules.late_events leaves it to the next backfill of that day",
    "unknown_item": "the item was in no catalogue landed up to the event's day",
    "value_out_of_range": "the value is outside its action's lowest and highest, or the position below 1",
    "unreadable_value": "a value is there but cannot be read as its column's type",
    "malformed_context": "the context is no map of texts",
    "ends_before_start": "available_until is before available_from",
    "day_refused": "the row has no fault, but a rule refused the partition it landed in",
}
