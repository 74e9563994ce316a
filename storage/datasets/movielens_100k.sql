CREATE TEMP TABLE events AS
SELECT occurred_at::DATE AS day, user_id, item_id, 'rating' AS action, occurred_at, stars AS value
FROM (
    SELECT user_id, item_id, stars, to_timestamp(posted) AS occurred_at
    FROM read_csv(getvariable('folder') || '/ml-100k.inter', delim = '\t', header = true, quote = '', auto_detect = false,
        columns = {'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'stars': 'DOUBLE', 'posted': 'DOUBLE'})
);

CREATE TEMP TABLE items AS
WITH films AS (
    SELECT item_id, trim(name) AS name, CASE WHEN regexp_full_match(year, '[0-9]{4}') THEN year END AS year, genres
    FROM read_csv(getvariable('folder') || '/ml-100k.item', delim = '\t', header = true, quote = '', auto_detect = false,
        columns = {'item_id': 'VARCHAR', 'name': 'VARCHAR', 'year': 'VARCHAR', 'genres': 'VARCHAR'})
),
seen AS (SELECT item_id, min(day) AS first_seen FROM events GROUP BY item_id)
SELECT
    listed_on(item_id, first_seen, (SELECT min(day) FROM events)) AS day, item_id,
    CASE WHEN year IS NULL THEN name ELSE name || ' (' || year || ')' END AS title,
    list_filter(string_split(coalesce(genres, ''), ' '), lambda genre: genre NOT IN ('', 'unknown')) AS topics,
    known([entry('year', year)]) AS attributes
FROM films LEFT JOIN seen USING (item_id);

CREATE TEMP TABLE users AS
WITH people AS (
    SELECT *
    FROM read_csv(getvariable('folder') || '/ml-100k.user', delim = '\t', header = true, quote = '', auto_detect = false,
        columns = {'user_id': 'VARCHAR', 'age': 'INTEGER', 'gender': 'VARCHAR', 'occupation': 'VARCHAR', 'zip': 'VARCHAR'})
),
seen AS (SELECT user_id, min(day) AS day FROM events GROUP BY user_id)
SELECT
    day, user_id,
    -- The bands are those that MovieLens itself uses from its next set on.
    known([
        entry('age', CASE
            WHEN age < 18 THEN 'under 18' WHEN age < 25 THEN '18-24' WHEN age < 35 THEN '25-34' WHEN age < 45 THEN '35-44'
            WHEN age < 50 THEN '45-49' WHEN age < 56 THEN '50-55' WHEN age >= 56 THEN '56+' END),
        entry('gender', gender),
        entry('occupation', occupation)
    ]) AS attributes
FROM seen LEFT JOIN people USING (user_id);
