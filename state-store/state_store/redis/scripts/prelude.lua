-- At the head of every script. Names in capitals are the keys of keys.py and the figures of scripting.py.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The time that leases go by: `now_ms`, with the ends of all leases moved by any step of the clock since they were
-- last read. A step comes from a clock that was set, or a replica that took over with another clock. Unmoved, a
-- step back would let dead instances hold what they had for as long, and a step forward would take it from live
-- ones. Time in which nothing read the leases, such as an outage of the server, looks like a step, and lets no
-- lease lapse.
local function lease_time()
  local now = now_ms()
  local passed = now - tonumber(redis.call('GET', CLOCK) or now - CLOCK_GRAIN_MS)
  if passed >= 0 and passed < CLOCK_GRAIN_MS then return now end
  redis.call('SET', CLOCK, now)
  if passed < 0 or passed > LONGEST_PAUSE_MS then
    local leases = redis.call('ZRANGE', LEASES, 0, -1, 'WITHSCORES')
    for i = 1, #leases, 2 do
      redis.call('ZADD', LEASES, math.min(tonumber(leases[i + 1]) + passed, now + LEASE_MS), leases[i])
    end
  end
  return now
end

local function live_instances(now)
  return redis.call('ZRANGEBYSCORE', LEASES, now + 1, '+inf')  -- whole milliseconds
end

local function setting(name, default)
  return redis.call('HGET', SETTINGS, name) or default
end

-- Adds an activity: its kind, then field and value pairs. Answers its id.
local function note_activity(kind, ...)
  return redis.call('XADD', ACTIVITY, 'MAXLEN', '~', ACTIVITY_LENGTH, '*', 'kind', kind, ...)
end

-- The logins and logouts of this script, as lines: kind, username, session, instance, and a login's address.
local session_activities = {}

-- Adds them to the stream, several to an entry (D72): the first one in its fields, the others as lines in `more`. The
-- first one has the entry's id; the ids after it are kept free for the others.
local function note_session_activities()
  for first = 1, #session_activities, ACTIVITIES_OF_AN_ENTRY do
    local last = math.min(first + ACTIVITIES_OF_AN_ENTRY - 1, #session_activities)
    local kind, username, session, instance, address =
      string.match(session_activities[first], '^(%S+) (%S+) (%S+) (%S+) ?(.*)$')
    local fields = {'username', username, 'session', session, 'instance', instance}
    if kind == 'login' then
      fields[7], fields[8] = 'address', address
    end
    if last > first then
      fields[#fields + 1] = 'more'
      fields[#fields + 1] = table.concat(session_activities, '\n', first + 1, last)
    end
    local id = note_activity(kind, unpack(fields))
    if last > first then
      local milliseconds, number = string.match(id, '^(%d+-)(%d+)$')
      redis.call('XSETID', ACTIVITY, milliseconds .. string.format('%.0f', number + last - first))
    end
  end
  session_activities = {}
end

-- Instance, session and maildir ('' when unknown) of a maildrop's lock; nil when it is free.
local function holder(lock)
  if not lock then return nil end
  return string.match(lock, '^(%S+) (%S+) ?(.*)$')
end

-- Frees a maildir's lock, unless another session has it.
local function free_maildir(maildir, instance, session)
  if maildir ~= '' and redis.call('HGET', MAILDIRS, maildir) == instance .. ' ' .. session then
    redis.call('HDEL', MAILDIRS, maildir)
  end
end

local function free_maildrop(username, instance, session, maildir)
  redis.call('HDEL', MAILDROPS, username)
  free_maildir(maildir, instance, session)
  session_activities[#session_activities + 1] = 'logout ' .. username .. ' ' .. session .. ' ' .. instance
end

local function is_live(instance, now)
  local ends = redis.call('ZSCORE', LEASES, instance)
  return ends and tonumber(ends) > now
end

-- Remembers that a user has logged in from a client network (P18).
local function remember_pair(subject, network, now)
  local key = KNOWN .. subject
  redis.call('ZADD', key, now, network)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - KNOWN_MS)
  redis.call('ZREMRANGEBYRANK', key, 0, -KNOWN_NETWORKS - 1)
  redis.call('PEXPIRE', key, KNOWN_MS)
end

local function is_known_pair(subject, network, now)
  local last = tonumber(redis.call('ZSCORE', KNOWN .. subject, network) or -KNOWN_MS)
  if now - last > KNOWN_MS then return false end
  if now - last > KNOWN_REFRESH_MS then remember_pair(subject, network, now) end
  return true
end

-- Removes locks, sessions, slots and addresses of instances whose lease is over. Their sequence number stays a day, so
-- that counts that are sent again are recognised.
local function reap(now)
  local dead = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now)
  if #dead == 0 then return end
  local is_dead = {}
  for _, instance in ipairs(dead) do
    is_dead[instance] = true
    redis.call('DEL', SESSIONS .. instance, ADDRESSES .. instance)
    redis.call('EXPIRE', INSTANCE .. instance, 86400)
    redis.call('ZREM', LEASES, instance)
  end
  local locks = redis.call('HGETALL', MAILDROPS)
  for i = 1, #locks, 2 do
    local instance, session, maildir = holder(locks[i + 1])
    if is_dead[instance] then free_maildrop(locks[i], instance, session, maildir) end
  end
  note_session_activities()
end
