-- What makes two rows the same event: the sender's own id or, without one, everything they say.
CREATE OR REPLACE TEMP MACRO event_key(event_id, user_id, item_id, action, occurred_at, value, condition, position, served_by, context) AS
    CASE WHEN event_id <> '' THEN hash(event_id)
    ELSE hash(user_id, item_id, action, occurred_at, value, condition, position, served_by, context) END;

-- A forgotten user's mark: it tells that rows are theirs, not who they are.
CREATE OR REPLACE TEMP MACRO token_of(user_id) AS sha256((SELECT any_value(salt) FROM about) || user_id);

-- Powers of two: as fine as amounts, ratings and seconds need, and the same for every day.
CREATE OR REPLACE TEMP MACRO value_bucket(value) AS
    CASE WHEN value IS NULL THEN 'none' WHEN value = 0 THEN '0'
    ELSE CASE WHEN value < 0 THEN '-' ELSE '' END || '2^' || floor(log2(abs(value)))::INT END;
