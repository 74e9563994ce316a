-- How the actions, topics and values of the good rows are spread.
CREATE OR REPLACE TEMP TABLE staged_profiles AS
WITH good AS (
    SELECT landed AS day, item_id, action, value FROM staged_events
    WHERE rowid NOT IN (SELECT row FROM faulty_events) AND rowid NOT IN (SELECT row FROM repeated_events)
),
by_item AS (SELECT day, item_id, count(*) AS n FROM good GROUP BY ALL),
topics AS (SELECT item_id, any_value(topic) AS topic, min(first_day) AS first_day FROM known_items GROUP BY item_id)
SELECT day, 'action' AS dimension, action AS bucket, count(*) AS n FROM good GROUP BY ALL
UNION ALL
SELECT day, 'topic', coalesce(CASE WHEN first_day <= day THEN topic END, 'none'), sum(n)::BIGINT FROM by_item LEFT JOIN topics USING (item_id) GROUP BY ALL
UNION ALL
SELECT day, 'value', value_bucket(value), count(*) FROM good GROUP BY ALL;
