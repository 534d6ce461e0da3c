-- The audit: at the head of the scripts by which somebody changes something. `by` is an `audit.Actor`, packed for one
-- act. What Redis does not take has not happened, so a script that makes an act true appends its entry itself.

-- Whether this very act was carried out already: its answer was lost then, and nothing is to be done again.
local function has_acted(by)
  return redis.call('EXISTS', ACTED .. cjson.decode(by)[1]) == 1
end

-- Appends an entry: the action ('user.add', 'settings.change'), what it was done to, old value and new; never a secret.
local function note_act(by, action, object, old, new)
  local id, name, door, address, token = unpack(cjson.decode(by))
  redis.call('SET', ACTED .. id, '', 'PX', ACT_REPEATED_MS)
  -- The same fields in the same order always: Redis then keeps their names once for many entries.
  redis.call('XADD', AUDIT, 'MAXLEN', AUDIT_ENTRIES, '*', 'who', name, 'door', door, 'address', address, 'token', token,
    'action', action, 'object', object, 'old', old or '', 'new', new or '')
end
