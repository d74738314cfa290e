-- The version at which each minute was last settled.
CREATE TABLE settled_buckets
(
    tenant     String,
    bucket     DateTime('UTC'),
    version    UInt64,
    settled_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant, bucket)
