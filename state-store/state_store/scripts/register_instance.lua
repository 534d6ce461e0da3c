-- Begin the lease of a new instance: id, then field and value pairs of its hash.
redis.call('HSET', INSTANCE .. ARGV[1], unpack(ARGV, 2))
redis.call('PERSIST', INSTANCE .. ARGV[1])
redis.call('ZADD', LEASES, lease_time() + LEASE_MS, ARGV[1])
