-- Staged events that repeat an earlier row of their partition. The sender's id makes a retry recognisable; without one
-- only a row alike in everything is a repeat. Rows that share a hash are few, and only they are compared in full.
CREATE OR REPLACE TEMP TABLE suspects AS
SELECT landed, hash(event_id) AS key FROM staged_events WHERE event_id <> '' GROUP BY ALL HAVING count(*) > 1
UNION ALL
SELECT landed, hash(user_id, item_id, action, occurred_at, value, condition, position, served_by, context)
FROM staged_events WHERE coalesce(event_id, '') = '' GROUP BY ALL HAVING count(*) > 1;

CREATE OR REPLACE TEMP TABLE repeated_events AS
WITH keyed AS (
    SELECT *, rowid AS row, event_key(event_id, user_id, item_id, action, occurred_at, value, condition, position, served_by, context) AS key
    FROM staged_events WHERE EXISTS (FROM suspects)
)
SELECT row, keyed.landed FROM keyed SEMI JOIN suspects USING (landed, key) JOIN files_events f USING (file_number)
WHERE row NOT IN (SELECT row FROM faulty_events)
QUALIFY row_number() OVER (
    PARTITION BY keyed.landed, occurred_at::DATE, nullif(event_id, ''),
        CASE WHEN coalesce(event_id, '') = ''
            THEN row(user_id, item_id, action, occurred_at, value, condition, position, served_by, context) END
    ORDER BY f.file, row
) > 1;
