-- Wrong passwords (P18): at the head of the scripts that need it. An allowance is a hash that expires when it is
-- whole again. Its fields: when that is (full_at), how many checks are under way on it (checks) and until when that
-- counts (checks_until), and once attempts had to wait, since when (since) and how many (held).

local function full_at(id, now)
  local at = tonumber(redis.call('HGET', ALLOWANCE .. id, 'full_at') or 0)
  return math.min(at, now + BURST * INTERVAL_MS)  -- the clock may have been set back
end

local function under_check(id, now)
  local checks = redis.call('HMGET', ALLOWANCE .. id, 'checks', 'checks_until')
  return tonumber(checks[2] or 0) > now and tonumber(checks[1] or 0) or 0
end

-- For how many ms no answer is left, and whether that holds even if all checks under way find right passwords.
local function shortage(id, now)
  local wait = full_at(id, now) - (BURST - 1) * INTERVAL_MS - now
  if wait <= 0 then return 0, false end
  local checks = under_check(id, now)
  if checks == 0 then return wait, true end
  return math.min(wait, UNDER_CHECK_POLL_MS), wait > checks * INTERVAL_MS
end

local function take(id, now)
  local key, at = ALLOWANCE .. id, math.max(full_at(id, now), now) + INTERVAL_MS
  local checks = under_check(id, now) + 1
  redis.call('HSET', key, 'full_at', at, 'checks', checks, 'checks_until', now + CHECK_MS)
  redis.call('PEXPIRE', key, at - now)
end

-- A check has ended. With `gives_back` it has cost nothing.
local function check_ended(id, gives_back, now)
  local key = ALLOWANCE .. id
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('HSET', key, 'checks', math.max(0, under_check(id, now) - 1))
  if not gives_back then return end
  local at = full_at(id, now) - INTERVAL_MS
  if at > now then
    redis.call('HSET', key, 'full_at', at)
    redis.call('PEXPIRE', key, at - now)
  else
    redis.call('DEL', key)
    redis.call('ZREM', SLOWED, id)
  end
end

-- Whether one more fits into the rate: `burst` at once, then one every `interval` ms.
local function is_within(key, burst, interval, now)
  local at = math.min(tonumber(redis.call('GET', key) or 0), now + burst * interval)
  if at > now + (burst - 1) * interval then return false end
  at = math.max(at, now) + interval
  redis.call('SET', key, at, 'PX', at - now)
  return true
end

local function may_tell(network, now)
  return is_within(TOLD .. network, EVENTS_OF_A_NETWORK, EVENTS_OF_A_NETWORK_MS, now)
    and is_within(TOLD_OF_ALL, EVENTS_OF_ALL, EVENTS_OF_ALL_MS, now)
end

-- An administrator's name is not shown: it may be a password typed in the wrong place.
local function name_of(subject)
  return string.sub(subject, 1, 5) == 'user ' and string.sub(subject, 6) or ''
end

local function note_refused(subject, network, reason, now)
  local untold = redis.call('INCR', UNTOLD .. network)
  if may_tell(network, now) then
    redis.call('DEL', UNTOLD .. network)
    note_activity('refused', 'username', name_of(subject), 'network', network, 'reason', reason, 'count', untold)
  else
    redis.call('PEXPIRE', UNTOLD .. network, UNTOLD_MS)
  end
end

local function note_slowed(id, subject, network, now)
  local key = ALLOWANCE .. id
  local is_new = redis.call('HSETNX', key, 'since', now) == 1
  redis.call('HINCRBY', key, 'held', 1)
  redis.call('ZADD', SLOWED, now + BURST * INTERVAL_MS, id)
  if not is_new then return end
  redis.call('ZREMRANGEBYSCORE', SLOWED, '-inf', now)
  redis.call('ZREMRANGEBYRANK', SLOWED, 0, -SLOW_DOWNS - 1)
  if may_tell(network, now) then
    local kind = string.sub(id, 1, string.find(id, ' ', 1, true) - 1)
    note_activity('slowed', 'username', kind == 'network' and '' or name_of(subject),
      'network', kind == 'user' and '' or network)
  end
end

-- A refused password is remembered together with the credential it was compared with: a new one voids it. That of a
-- name that nobody has may be right later on the server that mail is moved from: it is forgotten however often it is
-- tried meanwhile.
local function refused_entry(subject, digest)
  local kind, name = string.match(subject, '^(%a+) (.*)$')
  local compared
  if kind == 'user' then
    compared = redis.call('HGET', CREDENTIALS, name)
  else
    compared = redis.call('HGET', ADMINISTRATORS, name) or redis.call('HGET', MADE_ADMINISTRATORS, name)
  end
  if not compared then
    local is_asked_elsewhere = kind == 'user' and redis.call('EXISTS', MOVE_SOURCE) == 1
    compared = is_asked_elsewhere and string.format('%d', math.floor(now_ms() / REFUSED_MS)) or ''
  end
  return string.sub(redis.sha1hex(compared .. ':' .. digest), 1, 16)
end
