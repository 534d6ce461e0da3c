-- Username, instance, row. Answers 1 while the move is this instance's.
local other = string.match(redis.call('HGET', MOVING, ARGV[1]) or '', '^(%S+) ')
if other ~= ARGV[2] then return 0 end
redis.call('HSET', MOVING, ARGV[1], ARGV[2] .. ' ' .. now_ms() .. ' ' .. ARGV[3])
return 1
