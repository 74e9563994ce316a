-- The days whose events the settled partitions hold or held: their own, and those of their late rows.
SELECT day FROM settled WHERE kind = 'events'
UNION SELECT day FROM late_events WHERE landed IN (SELECT day FROM settled WHERE kind = 'events');
