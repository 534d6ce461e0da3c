-- Username, credential. Answers 1 when the name is in use; adding the same credential again is a retry.
local known = redis.call('HGET', CREDENTIALS, ARGV[1])
if known then return known == ARGV[2] and 0 or 1 end
redis.call('HSET', CREDENTIALS, ARGV[1], ARGV[2])
redis.call('ZADD', USERNAMES, 0, ARGV[1])
-- A deployment gets its id with its first user. The credential contains a salted hash, so the id is unique.
redis.call('SETNX', DEPLOYMENT, redis.sha1hex(ARGV[2]))
return 0
