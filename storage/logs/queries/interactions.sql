-- Events of a span of days, in the order that makes equal logs equal arrays.
SELECT user_id, item_id, action, value, floor(epoch(occurred_at))::BIGINT AS time
FROM events WHERE day >= $first AND day <= $last
ORDER BY user_id, time, item_id, action, value, event_id;
