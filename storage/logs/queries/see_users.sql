-- The first day of users who did something on these days, and of those whose first day was one of them and no longer is.
CREATE OR REPLACE TEMP TABLE gone AS
SELECT user_id FROM seen_users s
ANTI JOIN (SELECT DISTINCT user_id, day FROM events WHERE day IN $days) e ON e.user_id = s.user_id AND e.day = s.first_day
WHERE first_day IN $days;

CREATE OR REPLACE TEMP TABLE of_days AS
SELECT user_id, min(day) AS first_day FROM (
    SELECT user_id, day FROM events WHERE day IN $days
    UNION ALL SELECT user_id, day FROM events SEMI JOIN gone USING (user_id)
) GROUP BY user_id;

DELETE FROM seen_users WHERE user_id IN (SELECT user_id FROM gone);

UPDATE seen_users SET first_day = of_days.first_day FROM of_days
WHERE of_days.user_id = seen_users.user_id AND of_days.first_day < seen_users.first_day;

INSERT INTO seen_users SELECT user_id, first_day FROM of_days
WHERE user_id NOT IN (SELECT user_id FROM seen_users);

DROP TABLE of_days;

DROP TABLE gone;
