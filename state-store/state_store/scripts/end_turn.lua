-- Address, ticket.
redis.call('ZREM', TURNS .. ARGV[1], ARGV[2])
redis.call('ZREM', DEADLINES .. ARGV[1], ARGV[2])
