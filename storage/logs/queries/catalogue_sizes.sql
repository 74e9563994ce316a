-- One row a staged items partition: how many items could be recommended after it, and how many before.
WITH before AS (
    SELECT item_id, day, coalesce(available_until >= day, true) AS is_offered FROM items
),
after AS (
    SELECT * FROM before WHERE day NOT IN (SELECT unnest($days::DATE[])) OR day IN (SELECT unnest($spoilt::DATE[]))
    UNION ALL
    SELECT item_id, landed, coalesce(available_until >= landed, true) FROM staged_items
    WHERE rowid NOT IN (SELECT row FROM faulty_items) AND rowid NOT IN (SELECT row FROM repeated_items)
        AND landed NOT IN (SELECT unnest($refused::DATE[]))
),
versions AS (SELECT true AS is_after, * FROM after UNION ALL SELECT false, * FROM before),
steps AS (
    SELECT is_after, day, is_offered::INT - CASE WHEN $whole THEN 0
        ELSE lag(is_offered::INT, 1, 0) OVER (PARTITION BY is_after, item_id ORDER BY day) END AS step
    FROM versions
),
days AS (SELECT is_after, day, sum(step) AS step FROM steps GROUP BY ALL),
sizes AS (
    SELECT is_after, day, CASE WHEN $whole THEN step ELSE sum(step) OVER (PARTITION BY is_after ORDER BY day) END AS n_items
    FROM days
)
SELECT s.day,
    coalesce((SELECT arg_max(n_items, day) FROM sizes WHERE is_after AND day = s.day), 0) AS n_after,
    greatest(
        (SELECT arg_max(n_items, day) FROM sizes WHERE is_after AND day < s.day),
        (SELECT arg_max(n_items, day) FROM sizes WHERE NOT is_after AND day = s.day)  -- what a correction replaces
    ) AS n_before
FROM (SELECT unnest($days::DATE[]) AS day) s ORDER BY s.day;
