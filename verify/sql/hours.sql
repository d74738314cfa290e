-- The hours of a tenant, or of all, that hold anything, and their partial rows.
--
-- Parameters: tenant, empty for all; from and to in Unix seconds.
SELECT tenant, toUnixTimestamp(hour), sum(n)
FROM
(
    SELECT tenant, toStartOfHour(started_at) AS hour, count() AS n
    FROM interactions
    WHERE started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})
    GROUP BY tenant, hour

    UNION ALL

    SELECT tenant, toStartOfHour(started_at) AS hour, count()
    FROM opportunities
    WHERE started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})
    GROUP BY tenant, hour

    UNION ALL

    SELECT DISTINCT tenant, toStartOfHour(bucket), 0
    FROM merge(currentDatabase(), '^(rates|rate_hours|rate_days|user_rate_hours|bucket_touches|settled_buckets)$')
    WHERE bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})
)
GROUP BY tenant, hour
ORDER BY tenant, hour
