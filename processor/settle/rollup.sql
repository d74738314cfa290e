-- Sums whole buckets of {{.Name}} from {{.From}}, as a new version of each. Zeroes of what
-- has vanished are summed too, so that nothing that counted before stays. settled_at is
-- that of the newest minute.
--
-- Buckets whose parts may have expired are left as they are.
--
-- A template of a table (settler_tables.go). Parameters: as in recount.sql.
INSERT INTO {{.Name}}
(
    tenant, bucket,
    {{.Group}},
    version, settled_at,
    opportunities, not_produced, shown, not_shown, read, accepted,
    partially_accepted, accepted_modified, auto_accepted, rejected, ignored, superseded,
    cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars,
    task_results, retention_count, retained_chars, base_chars, four_gram_sum, four_gram_count,
    latency
)
SELECT
    tenant, {{.Start}}(bucket) AS start,
    {{.Group}},
    {versions:Array(UInt64)}[indexOf(arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))}), (tenant, start))],
    argMax(settled_at, bucket),
    sum(opportunities), sum(not_produced), sum(shown), sum(not_shown), sum(read), sum(accepted),
    sum(partially_accepted), sum(accepted_modified), sum(auto_accepted), sum(rejected), sum(ignored), sum(superseded),
    sum(cancelled), sum(undecided), sum(thumbs_up), sum(thumbs_down), sum(shown_chars), sum(accepted_chars),
    sumForEach(task_results), sumForEach(retention_count), sumForEach(retained_chars),
    sumForEach(base_chars), sumForEach(four_gram_sum), sumForEach(four_gram_count),
    sumMap(latency)
FROM {{.From}} FINAL
WHERE (tenant, {{.Start}}(bucket)) IN arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})
    AND bucket >= (SELECT max(before) FROM frozen WHERE name IN ({{.Sources}}))
GROUP BY tenant, start, {{.Group}}
SETTINGS do_not_merge_across_partitions_select_final = 1
