-- Touches minutes, as processors do, so that what is made of them is settled again.
--
-- Parameters: tenants and starts, element by element.
INSERT INTO bucket_touches (tenant, bucket, touches, touched_at)
SELECT touched.1, touched.2, 1, now64(3)
FROM (SELECT arrayJoin(arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})) AS touched)
