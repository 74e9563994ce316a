-- The tables of the logs, version 2. A partition is replaced as a whole, so nothing here is ever edited row by row.
-- Which tables these are, by whose hashes they are summed up, and what is mixed into the digests of forgotten users.
CREATE TABLE about (version INTEGER NOT NULL, library VARCHAR NOT NULL, salt VARCHAR NOT NULL);

-- What users did. `day` is the event's own, `landed` that of the partition that brought it; file and line say where from.
CREATE TABLE events (
    day DATE NOT NULL,
    landed DATE NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    event_id VARCHAR,
    value DOUBLE,
    condition VARCHAR,
    position INTEGER,
    served_by VARCHAR,
    context VARCHAR
);

-- Good rows that landed after their own day, repeats of it included: from them a day is made again when it changes.
CREATE TABLE late_events AS FROM events LIMIT 0;

-- Every landed version of an item or a user: what was known on a day is the newest version up to it.
CREATE TABLE items (
    day DATE NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    description VARCHAR,
    topics VARCHAR[],
    attributes VARCHAR,
    available_from DATE,
    available_until DATE,
    embedding FLOAT[]
);
CREATE TABLE users (
    day DATE NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    attributes VARCHAR
);

-- Rows set aside, whole, with the reasons; of a refused partition all rows.
CREATE TABLE quarantine (
    kind VARCHAR NOT NULL,
    day DATE NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    reasons VARCHAR[] NOT NULL,
    content VARCHAR NOT NULL
);

-- What became of each landed partition; `n_late` of the loaded rows went to an earlier day. A correction that was
-- refused leaves them as they are, and is remembered by the digest of its bytes.
CREATE TABLE partitions (
    kind VARCHAR NOT NULL,
    day DATE NOT NULL,
    is_refused BOOLEAN NOT NULL,
    bytes VARCHAR NOT NULL,
    judged_by VARCHAR NOT NULL,
    n_landed BIGINT NOT NULL,
    n_loaded BIGINT NOT NULL,
    n_quarantined BIGINT NOT NULL,
    n_duplicates BIGINT NOT NULL,
    n_forgotten BIGINT NOT NULL,
    n_late BIGINT NOT NULL,
    metrics VARCHAR NOT NULL,
    checks VARCHAR NOT NULL,
    refused_correction VARCHAR,
    CHECK (n_landed = n_loaded + n_quarantined + n_duplicates + n_forgotten)
);

-- How a day's actions, topics and values were spread: what later days are compared with.
CREATE TABLE profiles (day DATE NOT NULL, dimension VARCHAR NOT NULL, bucket VARCHAR NOT NULL, n BIGINT NOT NULL);

-- What the logs hold of each kind and day: rows, and the sum of their hashes, which no order of loading changes.
CREATE TABLE contents (kind VARCHAR NOT NULL, day DATE NOT NULL, n_rows BIGINT NOT NULL, digest HUGEINT NOT NULL);

-- The first day each user did something, so that a day need not look through all others.
CREATE TABLE seen_users (user_id VARCHAR NOT NULL, first_day DATE NOT NULL);

-- Late events that a backfill has taken up: those that landed on one day for another.
CREATE TABLE taken_up (landed DATE NOT NULL, day DATE NOT NULL);

-- Users to be kept out, as salted digests: what landed of them before may land again.
CREATE TABLE forgotten (token VARCHAR NOT NULL);

-- What people had done to the logs; never whom it concerned.
CREATE TABLE audit (done_at TIMESTAMP NOT NULL, action VARCHAR NOT NULL, detail VARCHAR NOT NULL);
