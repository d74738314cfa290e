-- Like dirty.sql, for minutes that were touched lately.
--
-- Parameters: since_ms, the time of touch from which on to look, in Unix
-- milliseconds.
SELECT tenant, bucket, sum(touches) AS version, max(at)
FROM
(
    SELECT tenant, bucket, touches, toUInt64(0) AS settled, toDateTime64(0, 3, 'UTC') AS at
    FROM bucket_touches
    WHERE (tenant, bucket) IN
    (
        SELECT tenant, bucket FROM bucket_touches
        WHERE touched_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    )

    UNION ALL

    SELECT tenant, bucket, 0, version, settled_at
    FROM settled_buckets
    WHERE (tenant, bucket) IN
    (
        SELECT tenant, bucket FROM bucket_touches
        WHERE touched_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    )
)
GROUP BY tenant, bucket
HAVING version > max(settled)
