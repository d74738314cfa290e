-- Buckets of {{.Name}} that mix versions: a combination counts in one that is older than
-- the bucket's newest.
--
-- A template of a table (settler_tables.go) and of which buckets to look at, by default
-- those settled within an hour before the newest settlement of all. Parameters: tenants
-- and starts, element by element.
SELECT tenant, bucket, max(version), toDateTime64(0, 3, 'UTC')
FROM {{.Name}} FINAL
WHERE (tenant, bucket) IN {{with .Where}}{{.}}{{else}}
    (
        SELECT tenant, bucket FROM {{.Name}}
        WHERE settled_at >= (SELECT max(settled_at) FROM {{.Name}}) - INTERVAL 1 HOUR
    )
    {{- end}}
    AND bucket >= (SELECT max(before) FROM frozen WHERE name IN ({{.Sources}}))
GROUP BY tenant, bucket
HAVING minOrNullIf(version, opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0) < max(version)
SETTINGS do_not_merge_across_partitions_select_final = 1
