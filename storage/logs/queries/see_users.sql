-- The first day of users who did something on these days.
CREATE OR REPLACE TEMP TABLE of_days AS SELECT user_id, min(day) AS first_day FROM events WHERE day IN $days GROUP BY user_id;

UPDATE seen_users SET first_day = of_days.first_day FROM of_days
WHERE of_days.user_id = seen_users.user_id AND of_days.first_day < seen_users.first_day;

INSERT INTO seen_users SELECT user_id, first_day FROM of_days
WHERE user_id NOT IN (SELECT user_id FROM seen_users);

DROP TABLE of_days;
