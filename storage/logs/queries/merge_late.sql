-- Late rows into their own days, unless the day or a partition landed before holds the same event.
DELETE FROM events WHERE landed <> day AND day IN $days;

INSERT INTO events
SELECT l.* EXCLUDE (key) FROM (
    SELECT *, event_key(event_id, user_id, item_id, action, occurred_at, value, condition, position, served_by, context) AS key
    FROM late_events WHERE day IN $days
    QUALIFY row_number() OVER (PARTITION BY day, key ORDER BY landed, file, line) = 1
) AS l
ANTI JOIN (
    SELECT day, event_key(event_id, user_id, item_id, action, occurred_at, value, condition, position, served_by, context) AS key
    FROM events WHERE day IN (SELECT DISTINCT day FROM late_events WHERE day IN $days)
) AS own ON own.day = l.day AND own.key = l.key;

-- The partitions that brought them: a late row that is loaded is no repeat.
UPDATE partitions SET
    n_late = found.n, n_loaded = n_loaded + found.n - n_late, n_duplicates = n_duplicates - found.n + n_late
FROM (
    SELECT p.day, count(e.landed) AS n
    FROM (SELECT DISTINCT landed AS day FROM late_events WHERE day IN $days) p
    LEFT JOIN events e ON e.landed = p.day AND e.day < e.landed
        AND e.day IN (SELECT DISTINCT day FROM late_events)
    GROUP BY p.day
) AS found
WHERE partitions.kind = 'events' AND partitions.day = found.day AND found.n <> n_late;
