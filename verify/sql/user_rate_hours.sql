-- The rows of user_rate_hours.
--
-- Parameters: as in interactions.sql.
SELECT formatRow('RowBinary',
    tenant, toInt64(toUnixTimestamp(bucket)), experiment, variant, user,
    opportunities, not_produced, shown, not_shown, read, accepted,
    partially_accepted, accepted_modified, auto_accepted, rejected, ignored, superseded,
    cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars,
    retention_count, retained_chars, base_chars)
FROM user_rate_hours FINAL
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
SETTINGS do_not_merge_across_partitions_select_final = 1
