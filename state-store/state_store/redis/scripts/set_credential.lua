-- Username, credential. Answers 1 when there is no such user.
local before = redis.call('HGET', CREDENTIALS, ARGV[1])
if not before then return 1 end
keep_credential(ARGV[1], before, ARGV[2])
return 0
