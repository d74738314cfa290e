-- Minutes whose version is above the one they were settled at, and when the one that
-- waits longest last had data.
SELECT count(), toDateTime64(min(touched_at), 3, 'UTC')
FROM
(
    SELECT tenant, bucket, sum(touches) AS due, max(bucket_touches.touched_at) AS touched_at
    FROM bucket_touches
    GROUP BY tenant, bucket
) AS touched
LEFT JOIN
(
    SELECT tenant, bucket, max(version) AS version
    FROM settled_buckets
    GROUP BY tenant, bucket
) AS settled USING (tenant, bucket)
WHERE touched.due > settled.version
