-- The sums of rates per day (UTC), as rate_hours.
CREATE TABLE rate_days AS rates
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger)
