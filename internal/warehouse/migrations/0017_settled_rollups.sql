-- The version at which each bucket above the minute was last settled. kind is the
-- table: 'rate_hours', 'rate_days' or 'user_rate_hours'.
CREATE TABLE settled_rollups
(
    kind       LowCardinality(String),
    tenant     String,
    bucket     DateTime('UTC'),
    version    UInt64,
    settled_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (kind, tenant, bucket)
