-- Staged users that are set aside with their reasons, and those that repeat an earlier row of their partition.
CREATE OR REPLACE TEMP TABLE faulty_users AS
SELECT rowid AS row, landed, list_filter([
    CASE WHEN coalesce(user_id, '') = '' THEN 'missing_user' END,
    CASE WHEN is_unreadable THEN 'unreadable_value' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM staged_users
WHERE coalesce(user_id, '') = '' OR is_unreadable;

CREATE OR REPLACE TEMP TABLE repeated_users AS
SELECT s.rowid AS row, s.landed FROM staged_users s JOIN files_users f USING (file_number)
WHERE s.rowid NOT IN (SELECT row FROM faulty_users)
QUALIFY row_number() OVER (PARTITION BY s.landed, user_id ORDER BY f.file, s.rowid) > 1;
