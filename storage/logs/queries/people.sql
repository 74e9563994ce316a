-- Users as of a day, those with events but without a record of their own included;
-- `context` is the value that each user's events before the day had most often, a key.
WITH circumstances AS (
    SELECT user_id, key, context ->> ('$."' || key || '"') AS choice
    FROM events, (SELECT unnest($context_keys::VARCHAR[]) AS key)
    WHERE day < $day AND context IS NOT NULL
),
counted AS (
    SELECT user_id, key, choice, count(*) AS n FROM circumstances WHERE choice IS NOT NULL GROUP BY ALL
),
favourite AS (
    SELECT user_id, key, max_by(choice, {'n': n, 'choice': choice}) AS choice FROM counted GROUP BY user_id, key
),
usual AS (
    SELECT user_id, map(list(key ORDER BY key), list(choice ORDER BY key)) AS context FROM favourite GROUP BY user_id
),
known AS (
    SELECT user_id, max_by(coalesce(attributes, '{}'), day) AS attributes FROM users WHERE day <= $day GROUP BY user_id
),
everyone AS (
    SELECT DISTINCT user_id FROM events WHERE day <= $day
    UNION SELECT user_id FROM known
)
SELECT
    everyone.user_id,
    coalesce(known.attributes, '{}')::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    coalesce(usual.context, map([]::VARCHAR[], []::VARCHAR[])) AS context
FROM everyone LEFT JOIN known USING (user_id) LEFT JOIN usual USING (user_id)
ORDER BY everyone.user_id;
