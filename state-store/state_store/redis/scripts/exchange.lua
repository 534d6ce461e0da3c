-- All that one instance reports and requests in one round trip; see records.Exchange.
-- Answers {1 when lapsed or 2 when overtaken, counts taken before, reserved, should shrink, limit,
-- spare elsewhere, settings version, {outcome...}, {connections that an address may have...}}.

local position = 0
local function argument()
  position = position + 1
  return ARGV[position]
end
local function number() return tonumber(argument()) end

local now = lease_time()
local instance, counts_sequence, exchange_number, confirmed_number = argument(), number(), number(), number()
local own = INSTANCE .. instance

local known = redis.call('HMGET', own, 'sequence', 'number')
local is_known = tonumber(known[1] or 0) >= counts_sequence
local last_number = tonumber(known[2] or 0)
-- A replica that took over before it had received everything lacks answered exchanges: locks that they granted may be
-- missing, and are not the instance's any more.
if not is_live(instance, now) or last_number < confirmed_number then return {1, is_known and 1 or 0} end
-- An exchange that arrives late or twice would take locks and places that nobody gives back. One without a number (0)
-- is always taken.
if exchange_number < last_number or (exchange_number == last_number and last_number > 0) then return {2, 0} end
redis.call('ZADD', LEASES, now + LEASE_MS, instance)

for _, name in ipairs({'retrieved_bytes', 'retrieved_emails', 'removed_emails', 'connections', 'logins'}) do
  local delta = argument()
  if not is_known and delta ~= '0' then redis.call('HINCRBY', COUNTERS, name, delta) end
end
for _ = 1, number() do
  local name, count = argument(), argument()
  if not is_known then redis.call('HINCRBY', LATENCIES, name, count) end
end
local open, claimed, waiting, settings_version, load = number(), number(), number(), argument(), argument()

if number() == 1 then reap(now) end

local function release(username, session)
  local its_instance, its_session, maildir = holder(redis.call('HGET', MAILDROPS, username))
  if its_instance == instance and its_session == session then
    free_maildrop(username, instance, session, maildir)
  end
end
for _ = 1, number() do release(argument(), argument()) end
for _ = 1, number() do
  local username, session = argument(), argument()
  release(username, session)
  if redis.call('GET', LOGIN .. username) == session then redis.call('DEL', LOGIN .. username) end
end
for _ = 1, number() do redis.call('HSET', SESSIONS .. instance, argument(), argument()) end
for _ = 1, number() do redis.call('HDEL', SESSIONS .. instance, argument()) end

local login_count = number()
local login_delay = login_count > 0 and number() or 0
local function log_in(username, session, version, address, network, is_remembered, maildir)
  if is_remembered == '1' and not is_known_pair('user ' .. username, network, now) then return 'check needed' end
  local credential = redis.call('HGET', CREDENTIALS, username)
  if not credential or string.sub(credential, 1, #version + 1) ~= version .. ' ' then
    return 'credential changed'
  end
  local its_instance, its_session, its_maildir = holder(redis.call('HGET', MAILDROPS, username))
  local is_ours = its_instance == instance and its_session == session
  if its_instance and not is_ours and is_live(its_instance, now) then return 'in use' end
  -- The names of two users may lead to one maildir by links.
  local wanted = instance .. ' ' .. session
  local other = maildir ~= '' and redis.call('HGET', MAILDIRS, maildir)
  if other and other ~= wanted and is_live(holder(other), now) then return 'in use' end
  -- A session that holds the lock already requests it again, after a lost answer or with the maildir: the delay that
  -- runs is its own.
  if login_delay > 0 and not is_ours
    and not redis.call('SET', LOGIN .. username, session, 'EX', login_delay, 'NX') then
    -- After a step back of the server's clock a delay must not last longer than its length.
    if redis.call('PTTL', LOGIN .. username) > login_delay * 1000 then
      redis.call('EXPIRE', LOGIN .. username, login_delay)
    end
    return 'too soon'
  end
  if is_ours then
    free_maildir(its_maildir, instance, session)
  elseif its_instance then
    free_maildrop(username, its_instance, its_session, its_maildir)  -- its instance is dead
  end
  redis.call('HSET', MAILDROPS, username, wanted .. ' ' .. maildir)
  if maildir ~= '' then redis.call('HSET', MAILDIRS, maildir, wanted) end
  if not is_ours then
    note_activity('login', 'username', username, 'session', session, 'instance', instance, 'address', address)
  end
  return 'opened'
end
local outcomes = {}
for i = 1, login_count do
  outcomes[i] = log_in(argument(), argument(), argument(), argument(), argument(), argument(), argument())
end

-- The connections of one address. An instance keeps those that it has open, and gets places for those that
-- wait as far as the address's limit over all instances goes; no place is held in reserve. A connection that
-- its address's limit keeps out does not wait for a slot either.
local live = live_instances(now)
local function open_elsewhere_from(address)
  local count = 0
  for _, other in ipairs(live) do
    if other ~= instance then count = count + tonumber(redis.call('HGET', ADDRESSES .. other, address) or 0) end
  end
  return count
end
local address_limit, allowed = number(), {}
for i = 1, address_limit > 0 and number() or 0 do
  local address, its_open, its_waiting = argument(), number(), number()
  allowed[i] = its_open
  if its_waiting > 0 then
    local free = address_limit - open_elsewhere_from(address)
    allowed[i] = math.max(its_open, math.min(its_open + its_waiting, free))
    waiting = waiting - (its_open + its_waiting - allowed[i])
  end
  if allowed[i] > 0 then
    redis.call('HSET', ADDRESSES .. instance, address, allowed[i])
  else
    redis.call('HDEL', ADDRESSES .. instance, address)
  end
end

-- The slots of the limit `c=`. An instance keeps what it claims, because it may be filling those slots at this
-- moment. It gets slots for the connections that wait as far as the limit goes, and spare ones while less than
-- half of the limit is reserved: far from the limit an instance admits without an exchange, near it every slot
-- is dealt out one by one. One that claims more than its share shall claim only its open connections next time.
local settings = redis.call('HMGET', SETTINGS, 'max_connections', 'version')
local limit = tonumber(settings[1] or DEFAULT_MAX_CONNECTIONS)
local instances, reserved_elsewhere, open_elsewhere = 0, 0, 0
for _, other in ipairs(live) do
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

redis.call('HSET', own, 'sequence', math.max(counts_sequence, tonumber(known[1] or 0)),
  'number', exchange_number, 'open', open, 'reserved', reserved, 'settings_version', settings_version,
  'load', load)

return {0, 0, reserved, should_shrink and 1 or 0, limit, spare_elsewhere and 1 or 0, tonumber(settings[2] or 0),
  outcomes, allowed}
