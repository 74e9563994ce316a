-- The day an item is landed: 0 to 6 days before it is first seen, by a stable hash of its id, so that a night has
-- fresh items before they sell; never before the data begins. Items never seen are there from the first day.
CREATE MACRO listed_on(item_id, first_seen, first_day) AS
    greatest(first_day, coalesce(first_seen - (md5_number_lower(item_id) % 7)::INTEGER, first_day));

-- A map without the keys whose value is unknown.
CREATE MACRO known(entries) AS map_from_entries(list_filter(entries, lambda entry: entry.value IS NOT NULL));
CREATE MACRO entry(name, content) AS {'key': name, 'value': content::VARCHAR};
