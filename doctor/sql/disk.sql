-- The fullest disk of all servers.
SELECT name, free_space, total_space
FROM SERVERS.disks
WHERE total_space > 0
ORDER BY free_space / total_space
LIMIT 1
