-- What became of every settled partition; late rows count as repeats until they are found to be none.
CREATE OR REPLACE TEMP TABLE counted AS
WITH staged AS (
    SELECT 'events' AS kind, landed AS day, count(*) AS n FROM staged_events GROUP BY landed
    UNION ALL SELECT 'items', landed, count(*) FROM staged_items GROUP BY landed
    UNION ALL SELECT 'users', landed, count(*) FROM staged_users GROUP BY landed
),
faulty AS (
    SELECT 'events' AS kind, landed AS day, count(*) AS n FROM faulty_events GROUP BY landed
    UNION ALL SELECT 'items', landed, count(*) FROM faulty_items GROUP BY landed
    UNION ALL SELECT 'users', landed, count(*) FROM faulty_users GROUP BY landed
),
repeated AS (
    SELECT 'events' AS kind, landed AS day, count(*) AS n FROM repeated_events GROUP BY landed
    UNION ALL SELECT 'items', landed, count(*) FROM repeated_items GROUP BY landed
    UNION ALL SELECT 'users', landed, count(*) FROM repeated_users GROUP BY landed
),
late AS (SELECT 'events' AS kind, landed AS day, count(*) AS n FROM late_events GROUP BY landed)
SELECT v.kind, v.day, v.is_refused, v.bytes, v.judged_by, v.metrics, v.checks,
    coalesce(s.n, 0) AS n_staged, coalesce(f.n, 0) AS n_faulty, coalesce(r.n, 0) AS n_repeated,
    CASE WHEN v.is_refused THEN 0 ELSE coalesce(l.n, 0) END AS n_late_landed,
    coalesce(d.n_duplicates, 0) AS n_dropped, coalesce(d.n_forgotten, 0) AS n_forgotten
FROM settled v
LEFT JOIN staged s USING (kind, day) LEFT JOIN faulty f USING (kind, day) LEFT JOIN repeated r USING (kind, day)
LEFT JOIN late l USING (kind, day) LEFT JOIN dropped d USING (kind, day);

DELETE FROM partitions USING settled v WHERE partitions.kind = v.kind AND partitions.day = v.day;

INSERT INTO partitions BY NAME
SELECT kind, day, is_refused, bytes, judged_by, metrics, checks, n_forgotten, 0 AS n_late,
    n_staged + n_dropped + n_forgotten AS n_landed,
    CASE WHEN is_refused THEN 0 ELSE n_staged - n_faulty - n_repeated - n_late_landed END AS n_loaded,
    CASE WHEN is_refused THEN n_staged - n_repeated ELSE n_faulty END AS n_quarantined,
    n_repeated + n_dropped + n_late_landed AS n_duplicates
FROM counted;

DROP TABLE counted;

DELETE FROM profiles WHERE day IN (SELECT day FROM settled WHERE kind = 'events');

INSERT INTO profiles FROM staged_profiles WHERE day IN (SELECT day FROM settled WHERE kind = 'events');
