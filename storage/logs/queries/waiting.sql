-- Late events that wait for a backfill of their own day: the days they landed for, and their own.
SELECT DISTINCT day, TRY_CAST((content ->> '$.occurred_at') AS TIMESTAMPTZ)::TIMESTAMP::DATE AS own FROM quarantine
WHERE kind = 'events' AND reasons = ['late_event'] AND own BETWEEN $first AND $last;
