-- The catalogue as of a day: each item's newest version up to it, and the day it was first seen.
-- With whole catalogues only what the newest one holds; when asked, items that only events name, as stubs.
SELECT
    item_id,
    max_by(title, day) AS title,
    max_by(coalesce(description, ''), day) AS description,
    max_by(coalesce(topics, []), day) AS topics,
    max_by(coalesce(attributes, '{}'), day)::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    arg_max_null(available_from, day) AS available_from,
    arg_max_null(available_until, day) AS available_until,
    min(day) AS first_seen
FROM items WHERE day <= $day GROUP BY item_id
HAVING NOT $whole OR max(day) = (SELECT max(day) FROM items WHERE day <= $day)
UNION ALL BY NAME
SELECT item_id, item_id AS title, '' AS description, []::VARCHAR[] AS topics, map([]::VARCHAR[], []::VARCHAR[]) AS attributes,
    NULL::DATE AS available_from, NULL::DATE AS available_until, min(day) AS first_seen
FROM events WHERE $stubs AND day <= $day AND item_id NOT IN (SELECT item_id FROM items WHERE day <= $day)
GROUP BY item_id
ORDER BY item_id;
