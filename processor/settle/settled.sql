-- Notes that minutes are settled.
--
-- Parameters: tenants, minutes and versions, element by element, as in recount.sql.
INSERT INTO settled_buckets (tenant, bucket, version, settled_at)
SELECT minute.1, minute.2, minute.3, now64(3)
FROM (SELECT arrayJoin(arrayZip({tenants:Array(String)}, {minutes:Array(DateTime('UTC'))}, {versions:Array(UInt64)})) AS minute)
