-- Answers username, state and row of each move that is not done, one after the other.
local now, answer = lease_time(), {}
local moving = redis.call('HGETALL', MOVING)
for i = 1, #moving, 2 do
  local instance, row = string.match(moving[i + 1], '^(%S+) (.*)$')
  -- Its process was killed right after it had added the user.
  if not is_live(instance, now) and redis.call('HEXISTS', CREDENTIALS, moving[i]) == 1 then
    redis.call('HDEL', MOVING, moving[i])
    redis.call('ZADD', MOVED, now, moving[i])
  else
    local state = is_live(instance, now) and 'moving' or 'interrupted'
    for _, word in ipairs({moving[i], state, row}) do answer[#answer + 1] = word end
  end
end
local failed = redis.call('HGETALL', MOVES_FAILED)
for i = 1, #failed, 2 do
  for _, word in ipairs({failed[i], 'failed', failed[i + 1]}) do answer[#answer + 1] = word end
end
return answer
