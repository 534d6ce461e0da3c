-- The audit: at the head of the scripts by which somebody changes something. `by` is an `audit.Actor`, packed for one
-- act. What Redis does not take has not happened, so a script that makes an act true appends its entry itself.

-- How many entries are kept, and for how many days.
local function audit_kept()
  local entries, days = unpack(redis.call('HMGET', AUDIT_KEPT, 'entries', 'days'))
  return entries or AUDIT_ENTRIES, days or AUDIT_DAYS
end

local function trim_audit()
  local entries, days = audit_kept()
  redis.call('XTRIM', AUDIT, 'MAXLEN', entries)
  redis.call('XTRIM', AUDIT, 'MINID', string.format('%.0f', now_ms() - days * 86400000))
end

-- Whether this very act was carried out already: its answer was lost then, and nothing is to be done again.
local function has_acted(by)
  return redis.call('EXISTS', ACTED .. cjson.decode(by)[1]) == 1
end

-- Appends an entry: the action ('user.add', 'settings.change'), what it was done to, old value and new; never a secret.
local function note_act(by, action, object, old, new)
  local id, name, door, address, token = unpack(cjson.decode(by))
  redis.call('SET', ACTED .. id, '', 'PX', ACT_REPEATED_MS)
  -- The same fields in the same order always: Redis then keeps their names once for many entries.
  redis.call('XADD', AUDIT, '*', 'who', name, 'door', door, 'address', address, 'token', token, 'action', action,
    'object', object, 'old', old or '', 'new', new or '')
  trim_audit()
end
