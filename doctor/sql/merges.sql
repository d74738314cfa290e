SELECT max(elapsed) FROM system.merges WHERE database = currentDatabase()
