-- One row a day asked for: its volume and its mixes beside those of the days that landed before it.
-- Refused days count as landed, so that no order of loading changes what a day is compared with.
WITH volumes AS (
    SELECT day, n_landed AS n_rows FROM partitions WHERE kind = 'events' AND day NOT IN (SELECT day FROM staged_days)
    UNION ALL SELECT d.day, coalesce(s.n, 0) + coalesce(x.n, 0) FROM staged_days d
    LEFT JOIN (SELECT landed AS day, count(*) AS n FROM staged_events GROUP BY landed) s USING (day)
    LEFT JOIN (SELECT day, n_duplicates + n_forgotten AS n FROM dropped WHERE kind = 'events') x USING (day)
),
asked AS (
    SELECT day FROM staged_days
    UNION SELECT day FROM volumes  -- what is in the logs already may look otherwise beside days that came later
    WHERE day > (SELECT min(day) FROM staged_days) AND day <= (SELECT max(day) FROM staged_days) + $trailing_days::INT
),
earlier AS (
    SELECT a.day, median(v.n_rows) AS usual, count(v.day) AS n_days,
        median(v.n_rows) FILTER (WHERE dayofweek(v.day) = dayofweek(a.day)) AS usual_weekday,
        count(v.day) FILTER (WHERE dayofweek(v.day) = dayofweek(a.day)) AS n_weekdays
    FROM asked a LEFT JOIN volumes v ON v.day < a.day AND v.day >= a.day - $trailing_days::INT
    GROUP BY a.day
),
spread AS (
    SELECT * FROM profiles WHERE day NOT IN (SELECT day FROM staged_days) UNION ALL SELECT * FROM staged_profiles
),
sides AS (
    SELECT a.day, dimension, bucket, sum(n) FILTER (WHERE s.day = a.day) AS n_now, sum(n) FILTER (WHERE s.day < a.day) AS n_then
    FROM asked a JOIN spread s ON s.day <= a.day AND s.day >= a.day - $trailing_days::INT
    GROUP BY ALL
),
shares AS (
    SELECT day, dimension, coalesce(n_now, 0) AS now, coalesce(n_then, 0) AS before,
        sum(now) OVER whole AS all_now, sum(before) OVER whole AS all_before,
        -- Half an event more in every bucket: an empty one would make the index infinite.
        (now + 0.5) / (all_now + 0.5 * count(*) OVER whole) AS p, (before + 0.5) / (all_before + 0.5 * count(*) OVER whole) AS q,
        now / all_now AS exact_p, before / all_before AS exact_q, (exact_p + exact_q) / 2 AS middle
    FROM sides WINDOW whole AS (PARTITION BY day, dimension)
),
drift AS (
    SELECT day, dimension, sum((p - q) * ln(p / q)) AS psi,
        sum(0.5 * CASE WHEN exact_p > 0 THEN exact_p * log2(exact_p / middle) ELSE 0 END
            + 0.5 * CASE WHEN exact_q > 0 THEN exact_q * log2(exact_q / middle) ELSE 0 END) AS js
    FROM shares WHERE all_now >= $min_drift_rows AND all_before >= $min_drift_rows GROUP BY day, dimension
),
mixes AS (
    SELECT day,
        any_value(psi) FILTER (WHERE dimension = 'action') AS action_psi, any_value(js) FILTER (WHERE dimension = 'action') AS action_js,
        any_value(psi) FILTER (WHERE dimension = 'topic') AS topic_psi, any_value(js) FILTER (WHERE dimension = 'topic') AS topic_js,
        any_value(psi) FILTER (WHERE dimension = 'value') AS value_psi, any_value(js) FILTER (WHERE dimension = 'value') AS value_js
    FROM drift GROUP BY day
)
SELECT t.day, n_days >= $min_trailing_days AS is_comparable,
    CASE WHEN n_days >= $min_trailing_days THEN
        coalesce(n_rows, 0) / nullif(CASE WHEN n_weekdays >= $min_same_weekdays THEN usual_weekday ELSE usual END, 0)
    END AS volume_ratio,
    action_psi, action_js, topic_psi, topic_js, value_psi, value_js
FROM earlier t LEFT JOIN volumes USING (day) LEFT JOIN mixes USING (day)
ORDER BY t.day;
