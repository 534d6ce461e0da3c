-- How many entries had ever been taken from the log, and how many more are in these records; how many records, then name
-- and record of each, then names whose records go. Does nothing when another instance has taken these entries meanwhile.
local taken, entries, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
if (redis.call('GET', USER_LOG_TAKEN) or '0') ~= taken then return end
local records_end = 3 + 2 * count
write_in_pieces('HSET', USER_RECORDS, ARGV, 4, records_end)
write_in_pieces('HDEL', USER_RECORDS, ARGV, records_end + 1, #ARGV)
redis.call('LTRIM', USER_LOG, entries, -1)
redis.call('INCRBY', USER_LOG_TAKEN, entries)
redis.call('SET', RECORDS_SINCE, math.floor(now_ms() / 1000), 'NX')
