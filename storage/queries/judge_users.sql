CREATE OR REPLACE TEMP TABLE judged_users AS
WITH reasoned AS (
    SELECT *, rowid AS line, list_filter([
        CASE WHEN user_id IS NULL OR user_id = '' THEN 'missing_user' END,
        CASE WHEN is_unreadable THEN 'unreadable_value' END
    ], lambda reason: reason IS NOT NULL) AS reasons
    FROM staged_users
)
SELECT *, len(reasons) = 0
    AND row_number() OVER (PARTITION BY day, len(reasons) = 0, user_id ORDER BY file, line) > 1 AS is_duplicate
FROM reasoned;
