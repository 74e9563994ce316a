-- Items that events may name, and from when to when: with whole catalogues until the first that lacks them.
CREATE OR REPLACE TEMP TABLE known_items AS
WITH versions AS (
    SELECT item_id, day, topics[1] AS topic FROM items
    WHERE day NOT IN (SELECT unnest($days::DATE[])) OR day IN (SELECT unnest($spoilt::DATE[]))
    UNION ALL
    SELECT item_id, landed, topics[1] FROM staged_items
    WHERE rowid NOT IN (SELECT row FROM faulty_items) AND landed NOT IN (SELECT unnest($refused::DATE[]))
),
catalogues AS (SELECT day, lead(day, 1, DATE '9999-12-31') OVER (ORDER BY day) AS next FROM (SELECT DISTINCT day FROM versions)),
firsts AS (SELECT item_id, min(day) AS first_day, arg_min_null(topic, day) AS topic FROM versions GROUP BY item_id)
SELECT item_id, topic, first_day, first_day AS valid_from, DATE '9999-12-31' AS valid_until
FROM firsts WHERE NOT $whole
UNION ALL
SELECT DISTINCT item_id, f.topic, first_day, c.day, c.next
FROM versions v JOIN catalogues c USING (day) JOIN firsts f USING (item_id)
WHERE $whole AND c.next > (SELECT coalesce(min(landed), DATE '0001-01-01') - $late_days::INT FROM staged_events);
