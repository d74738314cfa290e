SELECT max(elapsed) FROM SERVERS.merges WHERE database = currentDatabase()
