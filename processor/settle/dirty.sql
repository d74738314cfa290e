-- Minutes whose data is newer than their rates, with what their touches add up to
-- and when they were settled last (1970: never).
SELECT tenant, bucket, sum(touches) AS version, max(at)
FROM
(
    SELECT tenant, bucket, touches, toUInt64(0) AS settled, toDateTime64(0, 3, 'UTC') AS at
    FROM bucket_touches

    UNION ALL

    SELECT tenant, bucket, 0, version, settled_at
    FROM settled_buckets
)
GROUP BY tenant, bucket
HAVING version > max(settled)
