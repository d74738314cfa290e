SELECT version(), now64(6, 'UTC')
