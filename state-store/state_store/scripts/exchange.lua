-- All that one instance tells and asks in one round trip; see records.Exchange.
-- Answers {lapsed, counts taken before, reserved, should shrink, limit, spare elsewhere, settings version, {outcome...}}.

local position = 0
local function argument()
  position = position + 1
  return ARGV[position]
end
local function number() return tonumber(argument()) end

local now = now_ms()
local instance, sequence = argument(), number()
local own = INSTANCE .. instance

local known = redis.call('HMGET', own, 'sequence', 'reserved', 'open')
local is_known = tonumber(known[1] or 0) >= sequence
if not is_live(instance, now) then return {1, is_known and 1 or 0} end
redis.call('ZADD', LEASES, now + LEASE_MS, instance)

for _, name in ipairs({'retrieved_bytes', 'retrieved_emails', 'removed_emails', 'connections', 'logins'}) do
  local delta = argument()
  if not is_known and delta ~= '0' then redis.call('HINCRBY', COUNTERS, name, delta) end
end
local open, claimed, waiting, settings_version = number(), number(), number(), argument()

if number() == 1 then reap(now) end

for _ = 1, number() do
  local username, session = argument(), argument()
  if redis.call('HGET', MAILDROPS, username) == instance .. ' ' .. session then
    redis.call('HDEL', MAILDROPS, username)
  end
end
for _ = 1, number() do redis.call('HSET', SESSIONS .. instance, argument(), argument()) end
for _ = 1, number() do redis.call('HDEL', SESSIONS .. instance, argument()) end

local function log_in(username, session, version, address, has_turn)
  if has_turn ~= '1' and must_take_turn(address, now) then return 'turn needed' end
  local credential = redis.call('HGET', CREDENTIALS, username)
  if not credential or string.sub(credential, 1, #version + 1) ~= version .. ' ' then
    return 'credential changed'
  end
  local lock = redis.call('HGET', MAILDROPS, username)
  local wanted = instance .. ' ' .. session
  if lock and lock ~= wanted and is_live(holder(lock), now) then return 'in use' end
  redis.call('HSET', MAILDROPS, username, wanted)
  return 'opened'
end
local outcomes = {}
for i = 1, number() do
  outcomes[i] = log_in(argument(), argument(), argument(), argument(), argument())
end

-- The slots of the limit `c=`: the same as slots.py.
local limit = tonumber(setting('max_connections', DEFAULT_MAX_CONNECTIONS))
local instances, reserved_elsewhere, open_elsewhere = 0, 0, 0
for _, other in ipairs(live_instances(now)) do
  instances = instances + 1
  if other ~= instance then
    local slots = redis.call('HMGET', INSTANCE .. other, 'reserved', 'open')
    reserved_elsewhere = reserved_elsewhere + tonumber(slots[1] or 0)
    open_elsewhere = open_elsewhere + tonumber(slots[2] or 0)
  end
end
local needed = math.max(open, math.min(open + waiting, limit - reserved_elsewhere))
local far = math.floor(limit / 2) - reserved_elsewhere - needed
local target = needed + math.max(0, math.min(LARGEST_SPARE, math.floor(far / (2 * instances))))
local reserved = math.max(claimed, target)
local should_shrink = claimed - target > (far > 0 and LARGEST_SPARE or 0)
local is_short = reserved < open + waiting
local spare_elsewhere = is_short and reserved_elsewhere > open_elsewhere
if spare_elsewhere then redis.call('PUBLISH', EVENTS, 'slots') end

redis.call('HSET', own, 'sequence', math.max(sequence, tonumber(known[1] or 0)),
  'open', open, 'reserved', reserved, 'settings_version', settings_version)

return {0, 0, reserved, should_shrink and 1 or 0, limit, spare_elsewhere and 1 or 0, tonumber(setting('version', 0)), outcomes}
