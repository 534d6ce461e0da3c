-- Answers {old server or '', moving, interrupted, failed, moved}.
local now, moving, interrupted = lease_time(), 0, 0
for _, row in ipairs(redis.call('HVALS', MOVING)) do
  if is_live(string.match(row, '^(%S+) '), now) then moving = moving + 1 else interrupted = interrupted + 1 end
end
-- Users that an administrator has removed have the score 0, and are not counted.
return {redis.call('GET', MOVE_SOURCE) or '', moving, interrupted, redis.call('HLEN', MOVES_FAILED),
  redis.call('ZCOUNT', MOVED, '(0', '+inf')}
