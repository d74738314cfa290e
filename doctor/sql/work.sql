-- What the server has done since it started.
SELECT
    toInt64(sumIf(value, event = 'InsertedRows')),
    toInt64(sumIf(value, event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')))
FROM system.events
