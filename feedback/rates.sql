-- Sums of one tenant's rates per time bucket and group. A template: the names of
-- columns come from a closed table in the code, values are parameters.
--
-- Parameters: tenant; from_s and to_s, Unix seconds; width_s, the width of a time
-- bucket; max_rows; values_0, values_1 and so on, the values of each filter.
SELECT
    toDateTime(intDiv(toUInt32(bucket), {width_s:UInt32}) * {width_s:UInt32}, 'UTC') AS bucket_start,
    CAST([{{range $i, $column := .GroupBy}}{{if $i}}, {{end}}toString({{$column}}){{end}}], 'Array(String)') AS group_values,
    max(bucket), max((bucket, settled_at)).2,
    sum(opportunities), sum(not_produced), sum(shown), sum(not_shown), sum(read),
    sum(accepted), sum(partially_accepted), sum(accepted_modified), sum(auto_accepted),
    sum(rejected), sum(ignored), sum(superseded), sum(cancelled), sum(undecided),
    sum(thumbs_up), sum(thumbs_down), sum(shown_chars), sum(accepted_chars),
    sumForEach(task_results),
    sumForEach(retention_count), sumForEach(retained_chars), sumForEach(base_chars),
    sumForEach(four_gram_sum), sumForEach(four_gram_count),
    sumMap(latency)
FROM rates FINAL
WHERE tenant = {tenant:String}
    AND bucket >= toDateTime({from_s:UInt32}, 'UTC')
    AND bucket < toDateTime({to_s:UInt32}, 'UTC')
{{- range .Filters}}
    AND {{.Column}} IN {{.Values}}
{{- end}}
GROUP BY bucket_start{{range .GroupBy}}, {{.}}{{end}}
HAVING sum(opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down) > 0
ORDER BY bucket_start{{range .GroupBy}}, {{.}}{{end}}
LIMIT {max_rows:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1
