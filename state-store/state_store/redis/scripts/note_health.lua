-- Id of the process that watches, then name, subject, state before, state, text of each change. A change whose state
-- before is not the noted one was noted already.
if redis.call('GET', HEALTH_WATCHER) ~= ARGV[1] then return end
local kinds, firsts, counts = {}, {}, {}
for i = 2, #ARGV, 5 do
  local name, subject, before, state, text = unpack(ARGV, i, i + 4)
  local check, kind = name .. ' ' .. subject, name .. ' ' .. state
  if (redis.call('HGET', HEALTH, check) or 'ok') == before then
    if state == 'warning' or state == 'critical' then
      redis.call('HSET', HEALTH, check, state)
    else
      redis.call('HDEL', HEALTH, check)
    end
    if not counts[kind] then
      kinds[#kinds + 1], firsts[kind] = kind, {'name', name, 'subject', subject, 'state', state, 'text', text}
    end
    counts[kind] = (counts[kind] or 0) + 1
  end
end
for _, kind in ipairs(kinds) do
  local fields = firsts[kind]
  fields[#fields + 1], fields[#fields + 2] = 'count', counts[kind]
  redis.call('XADD', HEALTH_CHANGES, 'MAXLEN', HEALTH_CHANGES_KEPT, '*', unpack(fields))
  note_activity('health', unpack(fields))
end
