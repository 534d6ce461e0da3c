-- All that one instance reports and requests in one round trip; see records.Exchange, and repository/instances.py for
-- the order of the arguments. Answers {1 when lapsed or 2 when overtaken, counts taken before, reserved, should shrink,
-- limit, spare elsewhere, settings version, {outcome...}, {connections that an address may have...}}.

local ARGV, position = ARGV, 0
local function take(count)
  position = position + count
  return unpack(ARGV, position - count + 1, position)
end

local now = lease_time()
local instance, counts_sequence, exchange_number, confirmed_number = take(4)
counts_sequence, exchange_number = tonumber(counts_sequence), tonumber(exchange_number)
local own = INSTANCE .. instance

local live, is_live_now = live_instances(now), {}
for _, other in ipairs(live) do is_live_now[other] = true end
local known = redis.call('HMGET', own, 'sequence', 'number')
local is_known = tonumber(known[1] or 0) >= counts_sequence
local last_number = tonumber(known[2] or 0)
-- A replica that took over before it had received everything lacks answered exchanges: locks that they granted may be
-- missing, and are not the instance's any more.
if not is_live_now[instance] or last_number < tonumber(confirmed_number) then return {1, is_known and 1 or 0} end
-- An exchange that arrives late or twice would take locks and places that nobody gives back. One without a number (0)
-- is always taken.
if exchange_number < last_number or (exchange_number == last_number and last_number > 0) then return {2, 0} end
redis.call('ZADD', LEASES, now + LEASE_MS, instance)

local deltas = {take(5)}
for i, name in ipairs({'retrieved_bytes', 'retrieved_emails', 'removed_emails', 'connections', 'logins'}) do
  if not is_known and deltas[i] ~= '0' then redis.call('HINCRBY', COUNTERS, name, deltas[i]) end
end
for _ = 1, take(1) do
  local name, count = take(2)
  if not is_known then redis.call('HINCRBY', LATENCIES, name, count) end
end
local user_notes = take(1)
if user_notes ~= '' and not is_known then note_users(now, user_notes) end
local open, claimed, waiting, settings_version, load, is_to_reap = take(6)
open, claimed, waiting = tonumber(open), tonumber(claimed), tonumber(waiting)

if is_to_reap == '1' then reap(now) end

-- A command costs as much as five of its arguments. So the hashes of locks and credentials are read with one command
-- each, changed in tables, and written with at most two (D73), of very many in pieces.
local function read(key, fields, first, last)
  local upto = math.min(first + PIECE - 1, last)
  local values = first <= upto and redis.call('HMGET', key, unpack(fields, first, upto)) or {}
  for from = upto + 1, last, PIECE do
    local piece = redis.call('HMGET', key, unpack(fields, from, math.min(from + PIECE - 1, last)))
    for i = 1, #piece do values[from - first + i] = piece[i] end
  end
  return values
end
-- Changes of a hash by field, false where it goes. What a field holds now is the change, or what was read.
local function now_in(changes, field, was_read)
  local changed = changes[field]
  if changed == nil then return was_read end
  return changed
end
local function write_changes(key, changes)
  local set, removed = {}, {}
  for field, value in pairs(changes) do
    if value then
      set[#set + 1] = field
      set[#set + 1] = value
    else
      removed[#removed + 1] = field
    end
  end
  write_in_pieces('HDEL', key, removed, 1, #removed)
  write_in_pieces('HSET', key, set, 1, #set)
end

local row_words, closed_count = take(2)
write_in_pieces('HSET', SESSIONS .. instance, ARGV, position + 1, position + row_words)
write_in_pieces('HDEL', SESSIONS .. instance, ARGV, position + row_words + 1, position + row_words + closed_count)
position = position + row_words + closed_count

-- Usernames and sessions of releases, then of withdrawn logins, then of logins; then of logins all else.
local release_count, withdrawn_count, login_count, login_delay = take(4)
login_delay = tonumber(login_delay)
local freed_count = release_count + withdrawn_count
local usernames, sessions = position, position + freed_count + login_count
local versions = sessions + freed_count + login_count
local addresses, networks = versions + login_count, versions + 2 * login_count
local remembered, maildirs = versions + 3 * login_count, versions + 4 * login_count
position = versions + 5 * login_count

local maildrop_locks, maildrop_changes = read(MAILDROPS, ARGV, usernames + 1, sessions), {}
local credentials = read(CREDENTIALS, ARGV, usernames + freed_count + 1, sessions)

local function note(kind, username, session, its_instance, rest)
  session_activities[#session_activities + 1] = kind .. ' ' .. username .. ' ' .. session .. ' ' .. its_instance .. rest
end
local freed, wanted_maildirs = {}, {}
for i = 1, freed_count do
  local username, session = ARGV[usernames + i], ARGV[sessions + i]
  local its_holder, lock = instance .. ' ' .. session, now_in(maildrop_changes, username, maildrop_locks[i])
  if lock and string.sub(lock, 1, #its_holder + 1) == its_holder .. ' ' then
    maildrop_changes[username] = false
    note('logout', username, session, instance, '')
    freed[#freed + 1] = its_holder
    wanted_maildirs[#freed] = string.sub(lock, #its_holder + 2)
  end
  if i > tonumber(release_count) and redis.call('GET', LOGIN .. username) == session then
    redis.call('DEL', LOGIN .. username)
  end
end
for i = 1, login_count do wanted_maildirs[#freed + i] = ARGV[maildirs + i] end
local maildir_locks, maildir_changes = read(MAILDIRS, wanted_maildirs, 1, #wanted_maildirs), {}
local function free_its_maildir(maildir, its_holder, lock)
  if now_in(maildir_changes, maildir, lock) == its_holder then maildir_changes[maildir] = false end
end
for i, its_holder in ipairs(freed) do free_its_maildir(wanted_maildirs[i], its_holder, maildir_locks[i]) end

local function log_in(i)
  local username, session = ARGV[usernames + freed_count + i], ARGV[sessions + freed_count + i]
  local version, maildir = ARGV[versions + i] .. ' ', ARGV[maildirs + i]
  if ARGV[remembered + i] == '1' and not is_known_pair('user ' .. username, ARGV[networks + i], now) then
    return 'check needed'
  end
  local credential = credentials[i]
  if not credential or string.sub(credential, 1, #version) ~= version then return 'credential changed' end
  local its_instance, its_session, its_maildir =
    holder(now_in(maildrop_changes, username, maildrop_locks[freed_count + i]))
  local is_ours = its_instance == instance and its_session == session
  if its_instance and not is_ours and is_live_now[its_instance] then return 'in use' end
  -- The names of two users may lead to one maildir by links.
  local wanted, other = instance .. ' ' .. session, now_in(maildir_changes, maildir, maildir_locks[#freed + i])
  if other and other ~= wanted and is_live_now[holder(other)] then return 'in use' end
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
  if its_instance then
    free_its_maildir(its_maildir, its_instance .. ' ' .. its_session, redis.call('HGET', MAILDIRS, its_maildir))
    if not is_ours then note('logout', username, its_session, its_instance, '') end  -- its instance is dead
  end
  maildrop_changes[username] = wanted .. ' ' .. maildir
  if maildir ~= '' then maildir_changes[maildir] = wanted end
  if not is_ours then note('login', username, session, instance, ' ' .. ARGV[addresses + i]) end
  return 'opened'
end
local outcomes = {}
for i = 1, login_count do outcomes[i] = log_in(i) end
write_changes(MAILDROPS, maildrop_changes)
write_changes(MAILDIRS, maildir_changes)
note_session_activities()

-- The connections of one address. An instance keeps those that it has open, and gets places for those that
-- wait as far as the address's limit over all instances goes; no place is held in reserve. A connection that
-- its address's limit keeps out does not wait for a slot either.
local function open_elsewhere_from(address)
  local count = 0
  for _, other in ipairs(live) do
    if other ~= instance then count = count + tonumber(redis.call('HGET', ADDRESSES .. other, address) or 0) end
  end
  return count
end
local address_limit, address_count = take(2)
address_limit = tonumber(address_limit)
local allowed = {}
for i = 1, address_count do
  local address, its_open, its_waiting = take(3)
  its_open, its_waiting = tonumber(its_open), tonumber(its_waiting)
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
