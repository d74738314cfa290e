-- The partition with most parts on one server.
SELECT argMax(concat(table, ' partition ', partition_id), parts), max(parts)
FROM
(
    SELECT table, partition_id, count() AS parts
    FROM SERVERS.parts
    WHERE active AND database = currentDatabase()
    GROUP BY hostName(), table, partition_id
)
