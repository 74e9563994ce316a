-- One row a staged day of events: its rows, and the shares of each fault.
-- Rows that are not staged, because they repeat others or are of forgotten users, landed all the same.
WITH staged AS (
    SELECT landed AS day, count(*) AS n_staged, max(CASE WHEN occurred_at::DATE = landed THEN occurred_at END) AS last_event
    FROM staged_events GROUP BY landed
),
rows AS (
    SELECT d.day, coalesce(n_staged, 0) + coalesce(n_duplicates, 0) + coalesce(n_forgotten, 0) AS n_landed,
        nullif(n_landed, 0) AS n_rows, coalesce(n_duplicates, 0) AS n_dropped, last_event
    FROM staged_days d LEFT JOIN staged USING (day)
    LEFT JOIN (SELECT day, n_duplicates, n_forgotten FROM dropped WHERE kind = 'events') USING (day)
),
faults AS (
    SELECT landed AS day, count(*) AS n_quarantined,
        count(*) FILTER (WHERE list_has_any(reasons, ['missing_user', 'missing_item'])) AS n_null,
        count(*) FILTER (WHERE list_contains(reasons, 'unknown_action')) AS n_unknown_action,
        count(*) FILTER (WHERE list_has_any(reasons, ['unreadable_time', 'future_time', 'outside_day'])) AS n_outside_day,
        count(*) FILTER (WHERE list_has_any(reasons, ['unreadable_value', 'value_out_of_range'])) AS n_bad_value,
        count(*) FILTER (WHERE list_contains(reasons, 'malformed_context')) AS n_malformed_context,
        count(*) FILTER (WHERE list_contains(reasons, 'unknown_item')) AS n_unknown_item,
        count(*) FILTER (WHERE list_contains(reasons, 'late_event')) AS n_awaiting,
        count(*) FILTER (WHERE reasons <> ['late_event']) AS n_bad
    FROM faulty_events GROUP BY landed
),
repeats AS (SELECT landed AS day, count(*) AS n_duplicates FROM repeated_events GROUP BY landed),
good AS (
    SELECT landed AS day, user_id, item_id, occurred_at::DATE AS own_day FROM staged_events
    WHERE rowid NOT IN (SELECT row FROM faulty_events) AND rowid NOT IN (SELECT row FROM repeated_events)
),
items AS (
    SELECT day, own_day, item_id, count(*) AS n FROM good GROUP BY ALL
),
listed AS (SELECT item_id, min(first_day) AS first_day FROM known_items GROUP BY item_id),
by_item AS (
    SELECT day, sum(n) FILTER (WHERE first_day = own_day) AS n_new_item, sum(n) FILTER (WHERE own_day < day) AS n_late,
        sum(n) FILTER (WHERE first_day IS NULL OR first_day > own_day) AS n_unlisted
    FROM items LEFT JOIN listed USING (item_id) GROUP BY day
),
users AS (SELECT DISTINCT day, user_id FROM good),
firsts AS (
    SELECT user_id, min(day) AS first_day FROM (
        FROM users UNION ALL BY NAME SELECT user_id, first_day AS day FROM seen_users
        WHERE user_id IN (SELECT user_id FROM users)
    ) GROUP BY user_id
),
by_user AS (
    SELECT day, avg((first_day = day)::INT) AS new_user_share FROM users JOIN firsts USING (user_id) GROUP BY day
)
SELECT
    s.day,
    n_landed AS n_rows,
    coalesce(n_null, 0) / n_rows AS null_share,
    coalesce(n_unknown_action, 0) / n_rows AS unknown_action_share,
    coalesce(n_outside_day, 0) / n_rows AS outside_day_share,
    coalesce(n_bad_value, 0) / n_rows AS bad_value_share,
    coalesce(n_malformed_context, 0) / n_rows AS malformed_context_share,
    (coalesce(n_unknown_item, 0) + coalesce(n_unlisted, 0)) / n_rows AS unknown_item_share,
    (coalesce(n_duplicates, 0) + n_dropped) / n_rows AS duplicate_share,
    coalesce(n_bad, 0) / n_rows AS refused_share,
    (coalesce(n_late, 0) + coalesce(n_awaiting, 0)) / n_rows AS late_share,
    date_diff('second', last_event, s.day + INTERVAL 1 DAY) / 3600 AS quiet_hours,
    new_user_share,
    n_new_item / n_rows AS new_item_share
FROM staged_days s
LEFT JOIN rows USING (day) LEFT JOIN faults USING (day) LEFT JOIN repeats USING (day)
LEFT JOIN by_item USING (day) LEFT JOIN by_user USING (day)
ORDER BY s.day;
