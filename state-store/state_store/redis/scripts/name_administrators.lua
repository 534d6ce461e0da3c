-- Front end, 'start', 'again' or 'keep', then name and hash pairs of the administrators that its settings name.
-- Those whom no live front end's settings name go, unless this one only keeps some. A hash is set anew at a start
-- only: what is said again may be older.
local now, own, newest, named = now_ms(), ARGV[1], 0, {}
local claims = redis.call('HGETALL', FRONT_ENDS)
for i = 2, #claims, 2 do newest = math.max(newest, tonumber(string.match(claims[i], '^%d+'))) end
for i = 1, #claims, 2 do
  local seen = tonumber(string.match(claims[i + 1], '^%d+'))
  if claims[i] == own then
    -- said anew below
  elseif newest - seen > FRONT_END_MS then
    redis.call('HDEL', FRONT_ENDS, claims[i])
  else
    for name in string.gmatch(claims[i + 1], ' (%S+)') do named[name] = true end
  end
end
local claim = string.format('%.0f', now)
for i = 3, #ARGV, 2 do
  redis.call(ARGV[2] == 'start' and 'HSET' or 'HSETNX', ADMINISTRATORS, ARGV[i], ARGV[i + 1])
  named[ARGV[i]] = true
  claim = claim .. ' ' .. ARGV[i]
end
redis.call('HSET', FRONT_ENDS, own, claim)
if ARGV[2] == 'keep' then return end
for _, name in ipairs(redis.call('HKEYS', ADMINISTRATORS)) do
  if not named[name] then redis.call('HDEL', ADMINISTRATORS, name) end
end
