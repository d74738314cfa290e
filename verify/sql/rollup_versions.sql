-- The version each bucket above the minute was settled at.
--
-- Parameters: as in interactions.sql.
SELECT formatRow('RowBinary', kind, tenant, toInt64(toUnixTimestamp(bucket)), max(version))
FROM settled_rollups
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
GROUP BY kind, tenant, bucket
