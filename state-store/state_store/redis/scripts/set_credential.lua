-- Username, credential. Answers 1 when there is no such user.
if redis.call('HEXISTS', CREDENTIALS, ARGV[1]) == 0 then return 1 end
redis.call('HSET', CREDENTIALS, ARGV[1], ARGV[2])
return 0
