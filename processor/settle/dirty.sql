-- Buckets of {{.Name}} whose data is newer than they are, with their version, which is
-- what the versions they are made of add up to, and when they were settled last (1970:
-- never).
--
-- A template of a table (settler_tables.go) and of which buckets to look at. Parameters:
-- tenants and starts, element by element, or since_ms, the time of touch from which on
-- to look, in Unix milliseconds.
SELECT tenant, start, sum(due) AS version, max(at)
FROM
(
    SELECT tenant, {{.Start}}(bucket) AS start, {{.Version}} AS due, toUInt64(0) AS settled, toDateTime64(0, 3, 'UTC') AS at
    FROM {{.Versions}}
    {{- with .Where}}
    WHERE (tenant, {{$.Start}}(bucket)) IN {{.}}
    {{- end}}
    GROUP BY tenant, bucket

    UNION ALL

    SELECT tenant, bucket, 0, version, settled_at
    FROM {{.Settled}}
    {{- with .Where}}
    WHERE (tenant, bucket) IN {{.}}
    {{- end}}
)
GROUP BY tenant, start
HAVING version > max(settled)
