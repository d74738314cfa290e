-- How often each minute received data. A processor adds 1 to every minute whose
-- interactions or opportunities it has inserted, after ClickHouse confirmed that
-- insert and before it acknowledges the log. The sum is the version of the
-- minute: the settler recomputes a minute whose version is above the settled one.
CREATE TABLE bucket_touches
(
    tenant     String,
    bucket     DateTime('UTC'),
    touches    SimpleAggregateFunction(sum, UInt64),
    touched_at SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (tenant, bucket)
