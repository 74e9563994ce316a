-- Staged events that are set aside, with their reasons.
CREATE OR REPLACE TEMP TABLE faulty_events AS
WITH timed AS (
    SELECT *, rowid AS row, CASE WHEN isfinite(occurred_at) THEN occurred_at::DATE END AS own_day,
        -- A wrong time is one fault, not two: the item is looked up on the day of the partition then.
        CASE WHEN own_day BETWEEN landed - $late_days::INT AND landed THEN own_day ELSE landed END AS asked_day
    FROM staged_events
),
flagged AS (
    SELECT
        row, e.landed,
        coalesce(user_id, '') = '' AS missing_user,
        coalesce(e.item_id, '') = '' AS missing_item,
        a.name IS NULL AS unknown_action,
        own_day IS NULL AS unreadable_time,
        coalesce(own_day > e.landed, false) AS future_time,
        coalesce(own_day < e.landed - $late_days::INT, false) AS outside_day,
        coalesce($await_backfill AND own_day < e.landed AND own_day >= e.landed - $late_days::INT AND t.day IS NULL, false)
            AS late_event,
        NOT $admit_unknown AND e.item_id <> '' AND k.item_id IS NULL AS unknown_item,
        coalesce(value < a.lowest OR value > a.highest OR isnan(value) OR position < 1, false) AS value_out_of_range,
        is_unreadable AS unreadable_value,
        is_malformed AS malformed_context
    FROM timed e
    LEFT JOIN known_actions a ON a.name = e.action
    LEFT JOIN known_items k ON k.item_id = e.item_id AND k.valid_from <= asked_day AND asked_day < k.valid_until
    LEFT JOIN taken_up t ON t.landed = e.landed AND t.day = own_day
)
SELECT row, landed, list_filter([
    CASE WHEN missing_user THEN 'missing_user' END,
    CASE WHEN missing_item THEN 'missing_item' END,
    CASE WHEN unknown_action THEN 'unknown_action' END,
    CASE WHEN unreadable_time THEN 'unreadable_time' END,
    CASE WHEN future_time THEN 'future_time' END,
    CASE WHEN outside_day THEN 'outside_day' END,
    CASE WHEN late_event THEN 'late_event' END,
    CASE WHEN unknown_item THEN 'unknown_item' END,
    CASE WHEN value_out_of_range THEN 'value_out_of_range' END,
    CASE WHEN unreadable_value THEN 'unreadable_value' END,
    CASE WHEN malformed_context THEN 'malformed_context' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM flagged
WHERE missing_user OR missing_item OR unknown_action OR unreadable_time OR future_time OR outside_day OR late_event
    OR unknown_item OR value_out_of_range OR unreadable_value OR malformed_context;
