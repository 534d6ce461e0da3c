-- Username. Answers 1 when there is no such user.
redis.call('ZREM', USERNAMES, ARGV[1])
redis.call('DEL', KNOWN .. 'user ' .. ARGV[1])
count_credentials(redis.call('HGET', CREDENTIALS, ARGV[1]), nil)
if redis.call('HDEL', CREDENTIALS, ARGV[1]) == 0 then return 1 end
-- The old server may still know the user: the next login must not bring him back.
if redis.call('EXISTS', MOVE_SOURCE) == 1 then redis.call('ZADD', MOVED, 'NX', 0, ARGV[1]) end
return 0
