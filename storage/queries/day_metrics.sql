-- One row a staged day: what the suites judge.
WITH volumes AS (
    SELECT day, n_landed AS n_rows FROM partitions
    WHERE kind = 'events' AND day NOT IN (SELECT day FROM staged_days)
    UNION ALL SELECT day, count(*) FROM judged_events GROUP BY day
),
days AS (
    SELECT
        day,
        count(*) AS n_rows,
        count(*) FILTER (WHERE len(reasons) = 0 AND NOT is_duplicate) AS n_loaded,
        count(*) FILTER (WHERE len(reasons) > 0) AS n_refused,
        count(*) FILTER (WHERE is_duplicate) AS n_duplicates,
        avg((list_contains(reasons, 'missing_user') OR list_contains(reasons, 'missing_item'))::INT) AS null_share,
        avg(list_contains(reasons, 'unknown_action')::INT) AS unknown_action_share,
        avg((list_contains(reasons, 'unreadable_time') OR list_contains(reasons, 'outside_day'))::INT) AS outside_day_share,
        avg(list_contains(reasons, 'unknown_item')::INT) AS unknown_item_share,
        avg(is_duplicate::INT) AS duplicate_share,
        avg((len(reasons) > 0)::INT) AS refused_share
    FROM judged_events GROUP BY day
)
SELECT d.* REPLACE (coalesce(d.n_rows, 0) AS n_rows, s.day AS day), v.usual_rows, v.trailing_days,
    CASE WHEN v.trailing_days >= $min_trailing_days THEN coalesce(d.n_rows, 0) / v.usual_rows END AS volume_ratio
FROM staged_days s LEFT JOIN days d ON d.day = s.day
LEFT JOIN LATERAL (
    SELECT median(n_rows) AS usual_rows, count(*) AS trailing_days
    FROM volumes WHERE volumes.day < s.day AND volumes.day >= s.day - $trailing_days::INT
) v ON true
ORDER BY s.day;
