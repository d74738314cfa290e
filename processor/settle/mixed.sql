-- Of the given minutes those whose rates mix versions: a combination counts in one
-- that is older than the minute's newest. With what their touches add up to.
--
-- Parameters: tenants and minutes, element by element.
SELECT tenant, bucket, sum(touches), toDateTime64(0, 3, 'UTC')
FROM bucket_touches
WHERE (tenant, bucket) IN
(
    SELECT tenant, bucket
    FROM rates FINAL
    WHERE (tenant, bucket) IN arrayZip({tenants:Array(String)}, {minutes:Array(DateTime('UTC'))})
    GROUP BY tenant, bucket
    HAVING minOrNullIf(version, opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0) < max(version)
)
GROUP BY tenant, bucket
