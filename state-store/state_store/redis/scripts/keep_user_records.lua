-- Ids of the first and the last entry of the log that are in these records, how many records, then name and record of
-- each, then names whose records go. Answers 0 and does nothing when another instance has added these entries.
local first, last, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local oldest = redis.call('XRANGE', USER_LOG, '-', '+', 'COUNT', 1)[1]
if not oldest or oldest[1] ~= first then return 0 end
local PIECE = 1000  -- `unpack` gives no more than 8,000 values
local records_end = 3 + 2 * count
for from = 4, records_end, PIECE do
  redis.call('HSET', USER_RECORDS, unpack(ARGV, from, math.min(from + PIECE - 1, records_end)))
end
for from = records_end + 1, #ARGV, PIECE do
  redis.call('HDEL', USER_RECORDS, unpack(ARGV, from, math.min(from + PIECE - 1, #ARGV)))
end
redis.call('XTRIM', USER_LOG, 'MINID', last)
redis.call('XDEL', USER_LOG, last)
redis.call('SET', RECORDS_SINCE, math.floor(now_ms() / 1000), 'NX')
return 1
