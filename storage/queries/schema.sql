-- The tables of the logs. A day is replaced as a whole, so nothing here is ever updated row by row.
CREATE TABLE IF NOT EXISTS events (
    day DATE NOT NULL,
    event_id VARCHAR,
    user_id VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    value DOUBLE,
    condition VARCHAR,
    position INTEGER,
    served_by VARCHAR,
    context VARCHAR
);

-- Every landed version of an item or a user: what was known on a day is the newest version up to it.
CREATE TABLE IF NOT EXISTS items (
    day DATE NOT NULL,
    item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    description VARCHAR,
    topics VARCHAR[],
    attributes VARCHAR,
    available_from DATE,
    available_until DATE,
    embedding FLOAT[]
);
CREATE TABLE IF NOT EXISTS users (
    day DATE NOT NULL,
    user_id VARCHAR NOT NULL,
    attributes VARCHAR
);

-- Rows set aside, whole, with the reasons.
CREATE TABLE IF NOT EXISTS quarantine (
    kind VARCHAR NOT NULL,
    day DATE NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    reasons VARCHAR[] NOT NULL,
    content VARCHAR NOT NULL
);

-- What was loaded of each partition: rows landed = loaded + refused + duplicates, always.
CREATE TABLE IF NOT EXISTS partitions (
    kind VARCHAR NOT NULL,
    day DATE NOT NULL,
    digest VARCHAR NOT NULL,
    n_landed BIGINT NOT NULL,
    n_loaded BIGINT NOT NULL,
    n_refused BIGINT NOT NULL,
    n_duplicates BIGINT NOT NULL,
    checks VARCHAR NOT NULL,
    CHECK (n_landed = n_loaded + n_refused + n_duplicates)
);
