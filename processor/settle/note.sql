-- Notes that buckets of {{.Name}} are settled.
--
-- Parameters: tenants, starts and versions, element by element, as in recount.sql.
INSERT INTO {{.Notes}}
SELECT {{with .Kind}}'{{.}}', {{end}}noted.1, noted.2, noted.3, now64(3)
FROM (SELECT arrayJoin(arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))}, {versions:Array(UInt64)})) AS noted)
