-- By whom, front end, a `records.Naming`, then name and hash pairs of the administrators that its settings name. Removes
-- those that no live front end names, unless the word is 'keep' or 'first'. Only 'start' replaces hashes: those named
-- again may be older. Answers 0, and changes nothing, when the word is 'first' and there are administrators already,
-- unless they were made by this very call: its answer was lost then.
if ARGV[3] == 'first' and redis.call('EXISTS', ADMINISTRATORS) == 1
  and redis.call('HGET', ADMINISTRATORS, ARGV[4]) ~= ARGV[5] then return 0 end
local now, own, newest, named = now_ms(), ARGV[2], 0, {}
local claims = redis.call('HGETALL', FRONT_ENDS)
for i = 2, #claims, 2 do newest = math.max(newest, tonumber(string.match(claims[i], '^%d+'))) end
for i = 1, #claims, 2 do
  local seen = tonumber(string.match(claims[i + 1], '^%d+'))
  if claims[i] == own then
    -- set below
  elseif newest - seen > FRONT_END_MS then
    redis.call('HDEL', FRONT_ENDS, claims[i])
  else
    for name in string.gmatch(claims[i + 1], ' (%S+)') do named[name] = true end
  end
end
local claim = string.format('%.0f', now)
for i = 4, #ARGV, 2 do
  local before = redis.call('HGET', ADMINISTRATORS, ARGV[i])
  if not before or ARGV[3] == 'start' and before ~= ARGV[i + 1] then
    redis.call('HSET', ADMINISTRATORS, ARGV[i], ARGV[i + 1])
    note_act(ARGV[1], before and 'administrator.password' or 'administrator.add', ARGV[i])
  end
  named[ARGV[i]] = true
  claim = claim .. ' ' .. ARGV[i]
end
redis.call('HSET', FRONT_ENDS, own, claim)
if ARGV[3] == 'keep' or ARGV[3] == 'first' then return 1 end
for _, name in ipairs(redis.call('HKEYS', ADMINISTRATORS)) do
  if not named[name] then
    redis.call('HDEL', ADMINISTRATORS, name)
    note_act(ARGV[1], 'administrator.remove', name)
  end
end
return 1
