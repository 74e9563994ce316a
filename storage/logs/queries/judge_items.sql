-- Staged items that are set aside with their reasons, and those that repeat an earlier row of their partition.
CREATE OR REPLACE TEMP TABLE faulty_items AS
SELECT rowid AS row, landed, list_filter([
    CASE WHEN coalesce(item_id, '') = '' THEN 'missing_item' END,
    CASE WHEN coalesce(title, '') = '' THEN 'missing_title' END,
    CASE WHEN available_until < available_from THEN 'ends_before_start' END,
    CASE WHEN is_unreadable THEN 'unreadable_value' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM staged_items
WHERE coalesce(item_id, '') = '' OR coalesce(title, '') = '' OR available_until < available_from OR is_unreadable;

CREATE OR REPLACE TEMP TABLE repeated_items AS
SELECT s.rowid AS row, s.landed FROM staged_items s JOIN files_items f USING (file_number)
WHERE s.rowid NOT IN (SELECT row FROM faulty_items)
QUALIFY row_number() OVER (PARTITION BY s.landed, item_id ORDER BY f.file, s.rowid) > 1;
