-- Refusals: at the head of the scripts that read or change them, and of those that change credentials. A row has the
-- lines kind, subject, since, until (both in ms; 0: without an end), who has set it, reason.

-- A name is the kind and the subject, with a space between them.
local function refusal_id(name)
  return string.sub(redis.sha1hex(name), 1, 12)
end

local function refusal_row(row)
  return string.match(row, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
end

-- A reason and an end in ms (0: none) as the audit shows them.
local function refusal_shown(reason, ends)
  if tonumber(ends) == 0 then return reason end
  return reason .. (reason == '' and '' or ' ') .. '(until ' .. rfc3339(tonumber(ends)) .. ')'
end

-- While a user is suspended a `!` stands before the credential: no login has checked a password of that version, so
-- none gets the maildrop's lock, and a login costs nothing more.
local function mark_credential(username, is_suspended)
  local credential = redis.call('HGET', CREDENTIALS, username)
  if credential and (string.sub(credential, 1, 1) == '!') ~= is_suspended then
    redis.call('HSET', CREDENTIALS, username, is_suspended and '!' .. credential or string.sub(credential, 2))
  end
end

-- Notifies the instances. Answers the version that they obey then. `version` counts changes of all that they read, and
-- `refusals_version` those of refusals among them.
local function refusals_changed()
  redis.call('HINCRBY', SETTINGS, 'refusals_version', 1)
  local version = redis.call('HINCRBY', SETTINGS, 'version', 1)
  redis.call('PUBLISH', EVENTS, 'settings')
  return version
end

-- Takes a refusal away. Answers its kind, subject, reason and end.
local function drop_refusal(id)
  local kind, subject, _, ends, _, reason = refusal_row(redis.call('HGET', REFUSALS, id))
  redis.call('HDEL', REFUSALS, id)
  redis.call('ZREM', REFUSAL_NAMES, kind .. ' ' .. subject)
  redis.call('ZREM', REFUSAL_ENDS, id)
  if kind == 'suspend' then mark_credential(subject, false) end
  return kind, subject, reason, ends
end

-- An activity for all that one script does of a kind: many bans must not push logins out of the stream.
local function note_refusal(action, kind, subject, by, reason, ends, count)
  note_activity('refusal', 'action', action, 'refusal', kind, 'subject', subject, 'by', by, 'reason', reason,
    'until', string.format('%.0f', ends), 'count', count)
end

-- Takes those away whose time is over, of very many some: the next script goes on.
local function drop_ended(now)
  local ended = redis.call('ZRANGEBYSCORE', REFUSAL_ENDS, '-inf', now, 'LIMIT', 0, REFUSALS_A_PAGE)
  local last, counts = {}, {}
  for _, id in ipairs(ended) do
    local kind, subject = drop_refusal(id)
    last[kind], counts[kind] = subject, (counts[kind] or 0) + 1
  end
  for kind, count in pairs(counts) do note_refusal('end', kind, last[kind], '', '', 0, count) end
  if #ended > 0 then refusals_changed() end
end

-- A page of the rows whose names are in a range of ZRANGEBYLEX, and the last of these names, '' at the end.
local function refusal_page(first, last)
  local names, ids = redis.call('ZRANGEBYLEX', REFUSAL_NAMES, first, last, 'LIMIT', 0, REFUSALS_A_PAGE), {}
  for i, name in ipairs(names) do ids[i] = refusal_id(name) end
  local rows = #ids > 0 and redis.call('HMGET', REFUSALS, unpack(ids)) or {}
  return rows, #names == REFUSALS_A_PAGE and names[#names] or ''
end

local function count_refusals(kind)
  return redis.call('ZLEXCOUNT', REFUSAL_NAMES, '[' .. kind .. ' ', '(' .. kind .. '!')
end

-- Host and version of the live instances of an earlier version, which let everybody in, each once.
local function ignorant_instances()
  local names, is_named = {}, {}
  for _, instance in ipairs(live_instances(lease_time())) do
    local host, version, knows = unpack(redis.call('HMGET', INSTANCE .. instance, 'host', 'version', 'knows_refusals'))
    local name = (host or '') .. ' (version ' .. (version or '') .. ')'
    if knows ~= '1' and not is_named[name] then
      names[#names + 1], is_named[name] = name, true
    end
  end
  return names
end
