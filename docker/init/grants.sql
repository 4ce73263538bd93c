-- The proxy's own account may do what its clients may, and watch the server's health and replication.
GRANT ALL PRIVILEGES ON *.* TO 'shardloom'@'%' WITH GRANT OPTION;
