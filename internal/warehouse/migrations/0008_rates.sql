-- What reports read: counts per minute and combination of dimensions, written
-- whole for a minute by the settler. version is the minute's version (see
-- bucket_touches) that the settler saw before it counted.
CREATE TABLE rates
(
    tenant             LowCardinality(String),
    bucket             DateTime('UTC'),
    surface            LowCardinality(String),
    model              LowCardinality(String),
    variant            LowCardinality(String),
    experiment         LowCardinality(String),
    language           LowCardinality(String),
    client             LowCardinality(String),
    client_version     LowCardinality(String),
    client_setting     LowCardinality(String),
    view_kind          LowCardinality(String),
    source             LowCardinality(String),
    trigger            LowCardinality(String),

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
    -- Element i: interactions shown with TaskResult i + 1.
    task_results       Array(UInt64),
    -- One element per delay 0, 5, 30, 120, 300, 600, 900 s. Interactions measured,
    -- characters retained, characters retained at delay 0 by the same ones.
    retention_count    Array(UInt64),
    retained_chars     Array(UInt64),
    base_chars         Array(UInt64),
    -- Sum of four-gram survival in 1/10000, and how many it is the sum of.
    four_gram_sum      Array(UInt64),
    four_gram_count    Array(UInt64),
    -- Histogram of the time from request to shown: bucket i counts latencies in
    -- (1.1^(i-1), 1.1^i] microseconds.
    latency            Map(UInt16, UInt64)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger)
