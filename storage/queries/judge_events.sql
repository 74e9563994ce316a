-- Staged event rows with the reasons to refuse each, and whether it repeats an earlier row.
CREATE OR REPLACE TEMP TABLE judged_events AS
WITH known_items AS (
    SELECT item_id, min(day) AS first_day FROM (
        SELECT item_id, day FROM items WHERE day NOT IN (SELECT DISTINCT day FROM staged_items)
        UNION ALL SELECT item_id, day FROM judged_items WHERE len(reasons) = 0
    ) GROUP BY item_id
),
reasoned AS (
    SELECT e.*, e.rowid AS line, list_filter([
        CASE WHEN e.user_id IS NULL OR e.user_id = '' THEN 'missing_user' END,
        CASE WHEN e.item_id IS NULL OR e.item_id = '' THEN 'missing_item' END,
        CASE WHEN e.action IS NULL OR e.action NOT IN (SELECT unnest($actions)) THEN 'unknown_action' END,
        CASE WHEN e.occurred_at IS NULL THEN 'unreadable_time'
             WHEN e.occurred_at::DATE <> e.day THEN 'outside_day' END,
        CASE WHEN e.item_id <> '' AND k.item_id IS NULL THEN 'unknown_item' END,
        CASE WHEN e.is_unreadable THEN 'unreadable_value' END
    ], lambda reason: reason IS NOT NULL) AS reasons
    FROM staged_events e LEFT JOIN known_items k ON k.item_id = e.item_id AND k.first_day <= e.day
)
-- The sender's id makes a retry recognisable; without one only a row alike in everything is a repeat.
SELECT *, len(reasons) = 0 AND row_number() OVER (
    PARTITION BY day, len(reasons) = 0,
        coalesce('id:' || nullif(event_id, ''),
            hash(user_id, item_id, action, occurred_at, value, condition, position, served_by, context)::VARCHAR)
    ORDER BY file, line
) > 1 AS is_duplicate
FROM reasoned;
