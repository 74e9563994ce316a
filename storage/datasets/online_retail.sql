CREATE TEMP TABLE events AS
SELECT
    occurred_at::DATE AS day,
    -- The '.0' is what a spreadsheet reader left of an empty cell in the column, not part of the number.
    regexp_replace(CustomerID, '\.0$', '') AS user_id,
    StockCode AS item_id,
    CASE WHEN InvoiceNo LIKE 'C%' THEN 'cancel'
         WHEN regexp_full_match(InvoiceNo, '[0-9]+') AND Quantity::DOUBLE > 0 THEN 'purchase'
         ELSE 'adjustment' END AS action,
    occurred_at,
    Quantity::DOUBLE AS value,
    known([entry('invoice', InvoiceNo), entry('country', Country), entry('price', UnitPrice)]) AS context
FROM (
    SELECT *, try_strptime(InvoiceDate, '%Y-%m-%d %H:%M:%S')::TIMESTAMP AT TIME ZONE 'UTC' AS occurred_at
    FROM read_parquet(getvariable('folder') || '/lines.parquet')
);

CREATE TEMP TABLE items AS
WITH named AS (
    SELECT StockCode AS item_id, trim(Description) AS title, count(*) AS n_lines
    FROM read_parquet(getvariable('folder') || '/lines.parquet')
    WHERE trim(Description) <> ''
    GROUP BY ALL
),
-- Names are written in capitals, remarks of the staff ('thrown away') are not: it settles a tie.
best AS (
    SELECT item_id, title FROM named
    QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY n_lines DESC, title <> upper(title), title) = 1
),
seen AS (SELECT item_id, min(day) AS first_seen FROM events GROUP BY item_id)
SELECT listed_on(item_id, first_seen, (SELECT min(day) FROM events)) AS day, item_id, title
FROM best JOIN seen USING (item_id);

CREATE TEMP TABLE users AS
SELECT
    min(day) AS day, user_id,
    -- Of the first line, not the most frequent one: that would be known only later.
    known([entry('country', arg_min(context['country'], (occurred_at, context['invoice'])))]) AS attributes
FROM events WHERE user_id IS NOT NULL GROUP BY user_id;
