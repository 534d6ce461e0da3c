-- How many entries had ever been taken from the log, and how many more are in these records; how many records, then name
-- and record of each, then names whose records go. Does nothing when another instance has taken these entries meanwhile.
local taken, entries, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
if (redis.call('GET', USER_LOG_TAKEN) or '0') ~= taken then return end
local PIECE = 1000  -- `unpack` gives no more than 8,000 values
local records_end = 3 + 2 * count
for from = 4, records_end, PIECE do
  redis.call('HSET', USER_RECORDS, unpack(ARGV, from, math.min(from + PIECE - 1, records_end)))
end
for from = records_end + 1, #ARGV, PIECE do
  redis.call('HDEL', USER_RECORDS, unpack(ARGV, from, math.min(from + PIECE - 1, #ARGV)))
end
redis.call('LTRIM', USER_LOG, entries, -1)
redis.call('INCRBY', USER_LOG_TAKEN, entries)
redis.call('SET', RECORDS_SINCE, math.floor(now_ms() / 1000), 'NX')
