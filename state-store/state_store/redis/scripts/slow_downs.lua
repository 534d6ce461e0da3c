-- Answers for every allowance that was used up and is not whole again {id, since when, how many attempts had to wait,
-- when it will be whole}.
local now, answer = now_ms(), {}
for _, id in ipairs(redis.call('ZRANGE', SLOWED, 0, -1)) do
  local since, held = unpack(redis.call('HMGET', ALLOWANCE .. id, 'since', 'held'))
  if since then
    answer[#answer + 1] = {id, tonumber(since), tonumber(held), full_at(id, now)}
  else
    redis.call('ZREM', SLOWED, id)
  end
end
return answer
