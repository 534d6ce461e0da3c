-- Proposal id, instance id, 1 when it can use the proposed directory, else why it cannot.
redis.call('HSET', PROPOSAL .. ARGV[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', PROPOSAL .. ARGV[1], 60)
