-- '1' to have the log too, names. Answers {ms, {record or false...}, {score of a user or false...}, since when there are
-- records, the log's entries}.
local records, scores = {}, {}
if #ARGV > 1 then
  records = redis.call('HMGET', USER_RECORDS, unpack(ARGV, 2))
  scores = redis.call('ZMSCORE', USERNAMES, unpack(ARGV, 2))
end
local log = ARGV[1] == '1' and redis.call('LRANGE', USER_LOG, 0, -1) or {}
return {now_ms(), records, scores, redis.call('GET', RECORDS_SINCE), log}
