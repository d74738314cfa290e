-- The rows of rates, rate_hours or rate_days.
--
-- Parameters: table, and as in interactions.sql.
SELECT formatRow('RowBinary',
    tenant, toInt64(toUnixTimestamp(bucket)),
    surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger,
    opportunities, not_produced, shown, not_shown, read, accepted,
    partially_accepted, accepted_modified, auto_accepted, rejected, ignored, superseded,
    cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars,
    retention_count, retained_chars, base_chars, task_results, four_gram_sum, four_gram_count,
    latency)
FROM {table:Identifier} FINAL
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND bucket >= toDateTime({from:Int64}, 'UTC') AND bucket < toDateTime({to:Int64}, 'UTC')
SETTINGS do_not_merge_across_partitions_select_final = 1
