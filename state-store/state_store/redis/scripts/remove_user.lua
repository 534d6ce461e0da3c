-- Username. Answers 1 when there is no such user.
redis.call('ZREM', USERNAMES, ARGV[1])
redis.call('DEL', KNOWN .. 'user ' .. ARGV[1])
count_credentials(redis.call('HGET', CREDENTIALS, ARGV[1]), nil)
return redis.call('HDEL', CREDENTIALS, ARGV[1]) == 1 and 0 or 1
