CREATE MACRO unescaped(text) AS
    replace(replace(replace(replace(replace(text, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', ''''), '&amp;', '&');
CREATE MACRO joined(texts) AS nullif(unescaped(array_to_string(texts, ', ')), '');

CREATE TEMP TABLE events AS
SELECT
    posted::DATE AS day, user_id, item_id::VARCHAR AS item_id,
    CASE WHEN recommend THEN 'recommend' ELSE 'not_recommend' END AS action,
    posted::TIMESTAMP AT TIME ZONE 'UTC' AS occurred_at
FROM read_parquet(getvariable('folder') || '/reviews.parquet');

CREATE TEMP TABLE items AS
WITH games AS (
    SELECT DISTINCT ON (item_id) id::VARCHAR AS item_id, *
    FROM read_parquet(getvariable('folder') || '/games.parquet')
    ORDER BY item_id, title, release_date, developer
),
seen AS (SELECT item_id, min(day) AS first_seen FROM events GROUP BY item_id),
dated AS (
    -- Some reviews are older than the release date (early access, games released anew): the review wins.
    SELECT *, least(release_date::DATE, first_seen) AS available_from,
        least(release_date::DATE, first_seen - (md5_number_lower(item_id) % 7)::INTEGER) AS announced
    FROM games LEFT JOIN seen USING (item_id)
)
SELECT
    greatest((SELECT min(day) FROM events), announced) AS day, item_id, unescaped(trim(title)) AS title,
    list_transform(coalesce(genres, []), lambda genre: unescaped(genre)) AS topics,
    known([
        entry('developer', unescaped(developer)),
        entry('publisher', unescaped(publisher)),
        entry('price_band', CASE
            WHEN price = 0 THEN 'free' WHEN price < 5 THEN 'under 5' WHEN price < 10 THEN '5 to 10'
            WHEN price < 20 THEN '10 to 20' WHEN price < 40 THEN '20 to 40' WHEN price >= 40 THEN '40 and more' END),
        entry('tags', joined(tags)),
        entry('specs', joined(specs))
    ]) AS attributes,
    available_from
FROM dated;

CREATE TEMP TABLE users AS SELECT min(day) AS day, user_id FROM events GROUP BY user_id;
