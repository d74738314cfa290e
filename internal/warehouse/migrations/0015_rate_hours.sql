-- The sums of rates per hour, so that long time ranges are as quick to read as short
-- ones. version is what the versions of the hour's settled minutes add up to.
CREATE TABLE rate_hours AS rates
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger)
