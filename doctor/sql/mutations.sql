-- Mutations that fail, or are not done after an hour.
SELECT groupUniqArray(concat(table, ' ', mutation_id))
FROM SERVERS.mutations
WHERE database = currentDatabase() AND NOT is_done
    AND (latest_fail_reason != '' OR create_time < now() - INTERVAL 1 HOUR)
