-- Names. Answers {ms, {record or false...}, since when there are records, all entries of the log}.
local records = #ARGV > 0 and redis.call('HMGET', USER_RECORDS, unpack(ARGV)) or {}
return {now_ms(), records, redis.call('GET', RECORDS_SINCE), redis.call('LRANGE', USER_LOG, 0, -1)}
