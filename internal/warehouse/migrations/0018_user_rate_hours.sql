-- Counts per user, hour and arm of an experiment, settled like rates: version is what
-- the touches of the hour's minutes add up to (see bucket_touches).
CREATE TABLE user_rate_hours
(
    tenant             String,
    bucket             DateTime('UTC'),
    experiment         LowCardinality(String),
    variant            LowCardinality(String),
    user               String,

    version            UInt64,
    settled_at         DateTime64(3, 'UTC'),

    opportunities      UInt64,
    not_produced       UInt64,
    shown              UInt64,
    not_shown          UInt64,
    read               UInt64,
    accepted           UInt64,
    partially_accepted UInt64,
    accepted_modified  UInt64,
    auto_accepted      UInt64,
    rejected           UInt64,
    ignored            UInt64,
    superseded         UInt64,
    cancelled          UInt64,
    undecided          UInt64,
    thumbs_up          UInt64,
    thumbs_down        UInt64,
    shown_chars        UInt64,
    accepted_chars     UInt64,
    -- As in rates.
    retention_count    Array(UInt64),
    retained_chars     Array(UInt64),
    base_chars         Array(UInt64)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, bucket, experiment, variant, user)
