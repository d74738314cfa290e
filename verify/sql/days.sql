-- The days that hold anything, how many partial rows each has, and how many of them
-- are interactions of whichever tenant.
--
-- Parameters: tenant, empty for all; from and to in Unix seconds.
SELECT toUnixTimestamp(toDateTime(day, 'UTC')), sum(n), sum(whole)
FROM
(
    SELECT toDate(started_at) AS day, countIf({tenant:String} = '' OR tenant = {tenant:String}) AS n, count() AS whole
    FROM interactions
    WHERE started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
    GROUP BY day

    UNION ALL

    SELECT toDate(started_at) AS day, count(), 0
    FROM opportunities
    WHERE started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})
    GROUP BY day

    UNION ALL

    SELECT DISTINCT toDate(bucket), 0, 0
    FROM merge(currentDatabase(), '^(rates|rate_hours|rate_days|user_rate_hours|bucket_touches|settled_buckets)$')
    WHERE bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})
)
GROUP BY day
ORDER BY day
