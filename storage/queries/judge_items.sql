CREATE OR REPLACE TEMP TABLE judged_items AS
WITH reasoned AS (
    SELECT *, rowid AS line, list_filter([
        CASE WHEN item_id IS NULL OR item_id = '' THEN 'missing_item' END,
        CASE WHEN title IS NULL OR title = '' THEN 'missing_title' END,
        CASE WHEN available_until < available_from THEN 'ends_before_start' END,
        CASE WHEN is_unreadable THEN 'unreadable_value' END
    ], lambda reason: reason IS NOT NULL) AS reasons
    FROM staged_items
)
SELECT *, len(reasons) = 0
    AND row_number() OVER (PARTITION BY day, len(reasons) = 0, item_id ORDER BY file, line) > 1 AS is_duplicate
FROM reasoned;
