-- Days for which events landed later: how many rows they hold of them, how many wait for a backfill.
WITH waiting AS (
    SELECT TRY_CAST((content ->> '$.occurred_at') AS TIMESTAMPTZ)::TIMESTAMP::DATE AS day, count(*) AS n FROM quarantine
    WHERE kind = 'events' AND reasons = ['late_event'] GROUP BY ALL
),
taken AS (
    SELECT day, count(*) AS n FROM events
    WHERE landed > day AND day IN (SELECT DISTINCT day FROM late_events) GROUP BY day
)
SELECT day, coalesce(taken.n, 0), coalesce(waiting.n, 0) FROM taken FULL JOIN waiting USING (day) ORDER BY day;
