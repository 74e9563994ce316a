-- The catalogue as of a day: each item's newest version up to it, and the day it was first seen.
SELECT
    item_id,
    max_by(title, day) AS title,
    max_by(coalesce(description, ''), day) AS description,
    max_by(coalesce(topics, []), day) AS topics,
    max_by(coalesce(attributes, '{}'), day)::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    arg_max_null(available_from, day) AS available_from,
    arg_max_null(available_until, day) AS available_until,
    min(day) AS first_seen
FROM items WHERE day <= $day
GROUP BY item_id ORDER BY item_id;
