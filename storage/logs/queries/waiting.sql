-- Late events that wait for a backfill of their own day: the days they landed for, and their own.
SELECT DISTINCT day, (content ->> '$.occurred_at')::TIMESTAMP::DATE AS own FROM quarantine
WHERE kind = 'events' AND reasons = ['late_event'] AND own BETWEEN $first AND $last;
