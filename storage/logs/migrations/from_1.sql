-- Version 2: rows say where they came from, late events and forgotten users have their place, days are compared.
-- The former tables are called old_...; which line of which file a row was, they did not say.
INSERT INTO about VALUES (2, version(), uuid()::VARCHAR);

INSERT INTO events BY NAME
SELECT *, day AS landed, 'version-1' AS file, row_number() OVER (PARTITION BY day ORDER BY rowid) AS line FROM old_events;

INSERT INTO items BY NAME
SELECT *, 'version-1' AS file, row_number() OVER (PARTITION BY day ORDER BY rowid) AS line FROM old_items;

INSERT INTO users BY NAME
SELECT *, 'version-1' AS file, row_number() OVER (PARTITION BY day ORDER BY rowid) AS line FROM old_users;

INSERT INTO quarantine BY NAME SELECT * REPLACE (regexp_extract(file, '[^/]*$') AS file) FROM old_quarantine;

-- What judged a day was part of its digest: such a day is judged again when its night is run again.
INSERT INTO partitions BY NAME
SELECT kind, day, false AS is_refused, digest AS bytes, '' AS judged_by, n_landed, n_loaded, n_refused AS n_quarantined,
    n_duplicates, 0 AS n_forgotten, 0 AS n_late, '{}' AS metrics, checks
FROM old_partitions;

INSERT INTO profiles
SELECT day, 'action', action, count(*) FROM events GROUP BY ALL
UNION ALL
SELECT e.day, 'topic', coalesce(i.topic, 'none'), count(*)
FROM events e LEFT JOIN (SELECT item_id, arg_min_null(topics[1], day) AS topic FROM items GROUP BY item_id) i USING (item_id) GROUP BY ALL
UNION ALL
SELECT day, 'value', value_bucket(value), count(*) FROM events GROUP BY ALL;

INSERT INTO seen_users SELECT user_id, min(day) FROM events GROUP BY user_id;
