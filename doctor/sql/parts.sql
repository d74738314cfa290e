-- The partition with most parts.
SELECT argMax(concat(table, ' partition ', partition_id), parts), max(parts)
FROM
(
    SELECT table, partition_id, count() AS parts
    FROM system.parts
    WHERE active AND database = currentDatabase()
    GROUP BY table, partition_id
)
