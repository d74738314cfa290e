-- The rows of user_rates.
--
-- Parameters: as in interactions.sql.
SELECT formatRow('RowBinary',
    tenant, toInt64(toUnixTimestamp(toDateTime(day, 'UTC'))), experiment, variant, user,
    opportunities, not_produced, shown, not_shown, read, accepted,
    partially_accepted, accepted_modified, auto_accepted, rejected, ignored, superseded,
    cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars,
    retention_count, retained_chars, base_chars)
FROM user_rates
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND day >= toDate(toDateTime({from:Int64}, 'UTC')) AND day < toDate(toDateTime({to:Int64}, 'UTC'))
