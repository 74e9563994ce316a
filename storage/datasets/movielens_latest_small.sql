CREATE TEMP TABLE events AS
SELECT occurred_at::DATE AS day, user_id, item_id, 'rating' AS action, occurred_at, stars AS value
FROM (
    SELECT user_id, item_id, stars, to_timestamp(posted) AS occurred_at
    FROM read_csv(getvariable('folder') || '/ratings.csv', delim = ',', header = true, quote = '"', auto_detect = false,
        columns = {'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'stars': 'DOUBLE', 'posted': 'BIGINT'})
);

CREATE TEMP TABLE items AS
WITH films AS (
    SELECT item_id, trim(title) AS title, nullif(regexp_extract(title, '\(([0-9]{4})[^()]*\)\s*$', 1), '') AS year,
        genres
    FROM read_csv(getvariable('folder') || '/movies.csv', delim = ',', header = true, quote = '"', escape = '"',
        auto_detect = false, columns = {'item_id': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'})
),
plots AS (
    SELECT movieId::VARCHAR AS item_id, nullif(nullif(trim(plot), ''), 'N/A') AS plot,
        nullif(nullif(trim(director), ''), 'N/A') AS director
    FROM read_parquet(getvariable('folder') || '/plots.parquet')
),
seen AS (SELECT item_id, min(day) AS first_seen FROM events GROUP BY item_id),
span AS (SELECT min(day) AS first_day FROM events)
SELECT
    -- The set spans 21 years: a film nobody rated must not be listed before the year it was made.
    CASE WHEN first_seen IS NULL THEN greatest(first_day, make_date(year::INTEGER, 1, 1))
         ELSE listed_on(item_id, first_seen, first_day) END AS day,
    item_id, title, plot AS description,
    list_filter(string_split(coalesce(genres, ''), '|'), lambda genre: genre NOT IN ('', '(no genres listed)')) AS topics,
    known([entry('year', year), entry('director', director)]) AS attributes
FROM films CROSS JOIN span LEFT JOIN seen USING (item_id) LEFT JOIN plots USING (item_id);

CREATE TEMP TABLE users AS SELECT min(day) AS day, user_id FROM events GROUP BY user_id;
