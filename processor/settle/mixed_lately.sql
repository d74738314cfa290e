-- Like mixed.sql, for every minute that was settled within an hour before the
-- newest settlement of all.
SELECT tenant, bucket, sum(touches), toDateTime64(0, 3, 'UTC')
FROM bucket_touches
WHERE (tenant, bucket) IN
(
    SELECT tenant, bucket
    FROM rates FINAL
    WHERE (tenant, bucket) IN
    (
        SELECT tenant, bucket FROM rates
        WHERE settled_at >= (SELECT max(settled_at) FROM rates) - INTERVAL 1 HOUR
    )
    GROUP BY tenant, bucket
    HAVING minOrNullIf(version, opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0) < max(version)
)
GROUP BY tenant, bucket
