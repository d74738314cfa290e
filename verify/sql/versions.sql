-- What the touches of each minute add up to, and the version it was settled at.
--
-- Parameters: as in interactions.sql.
SELECT formatRow('RowBinary', tenant, toInt64(toUnixTimestamp(bucket)), sum(n), max(settled))
FROM
(
    SELECT tenant, bucket, touches AS n, toUInt64(0) AS settled FROM bucket_touches
    WHERE tenant >= {first:String} AND tenant <= {last:String}
        AND bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')

    UNION ALL

    SELECT tenant, bucket, 0, version FROM settled_buckets
    WHERE tenant >= {first:String} AND tenant <= {last:String}
        AND bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
)
GROUP BY tenant, bucket
