-- Sums of one tenant's rates per time bucket and group. A template: the names of
-- columns come from a closed table in the code, values are parameters.
--
-- Whole days inside the time range come from rate_days, whole hours beside them from
-- rate_hours, the minutes at its ends from rates.
--
-- Parameters: tenant; max_rows; values_0, values_1 and so on, the values of each filter.
-- Times are Unix seconds. Groups may count nothing, and come in any order: most of the
-- time such a statement takes is its planning, and every step that is left out shows.
SELECT
{{- if .Width}}
    toDateTime(intDiv(toUInt32(bucket), {{.Width}}) * {{.Width}}, 'UTC') AS bucket_start,
{{- end}}
{{- range .GroupBy}}
    {{.}},
{{- end}}
    max(bucket), argMax(settled_at, bucket), sumForEach(counts), sumMap(latency)
FROM
{{- if eq (len .Ranges) 1}}
{{- range .Ranges}} {{.Table}} FINAL
WHERE {{template "within" .}}
{{- end}}
{{- template "filters" .}}
{{- else}}
(
{{- range $i, $range := .Ranges}}
    {{if $i}}UNION ALL{{end}}
    SELECT
        bucket, settled_at, {{range $.GroupBy}}{{.}}, {{end}}counts, latency
    FROM {{.Table}} FINAL
    WHERE {{template "within" .}}
    {{- template "filters" $}}
{{- end}}
)
{{- end}}
{{- if .Keys}}
GROUP BY {{range $i, $key := .Keys}}{{if $i}}, {{end}}{{$key}}{{end}}
{{- end}}
LIMIT {max_rows:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1
{{- if eq (len .Ranges) 1}}, max_threads = {{(index .Ranges 0).Threads}}{{end}}
{{- define "within"}}tenant = {tenant:String}
        AND bucket >= toDateTime({{.From}}, 'UTC') AND bucket < toDateTime({{.To}}, 'UTC')
{{- end}}
{{- define "filters"}}
    {{- range .Filters}}
        AND {{.Column}} IN {{.Values}}
    {{- end}}
{{- end}}
