-- By whom, the name of whoever that is, how many there may be, then kind, subject, end in ms or 0, and reason of each.
-- Answers {the version that instances obey then, {outcome of each...}, {instances that know no refusals...}}.
local by, name, most, now, outcomes, last, counts = ARGV[1], ARGV[2], tonumber(ARGV[3]), now_ms(), {}, {}, {}
local ACTIONS = {suspend = 'user.suspend', ban = 'network.ban', exempt = 'network.exempt'}

local function set(kind, subject, ends, reason)
  local refusal = kind .. ' ' .. subject
  local id = refusal_id(refusal)
  local before = redis.call('HGET', REFUSALS, id)
  if ends > 0 and ends <= now then return 'past' end
  -- Users of the old server may be suspended before they are here.
  if kind == 'suspend' and not before and redis.call('HEXISTS', CREDENTIALS, subject) == 0
    and redis.call('EXISTS', MOVE_SOURCE) == 0 then
    return 'unknown user'
  end
  if not before and redis.call('HLEN', REFUSALS) >= most then return 'full' end
  local rest = table.concat({string.format('%.0f', ends), name, reason}, '\n')
  local since, was = now, ''
  if before then
    local _, _, since_before, until_before, by_before, reason_before = refusal_row(before)
    -- The same again, as after a lost answer, changes nothing.
    if table.concat({until_before, by_before, reason_before}, '\n') == rest then return 'set' end
    was = refusal_shown(reason_before, until_before)
  end
  last[kind], counts[kind] = {subject, reason, ends}, (counts[kind] or 0) + 1
  redis.call('HSET', REFUSALS, id, table.concat({kind, subject, string.format('%.0f', since), rest}, '\n'))
  redis.call('ZADD', REFUSAL_NAMES, 0, refusal)
  if ends > 0 then redis.call('ZADD', REFUSAL_ENDS, ends, id) else redis.call('ZREM', REFUSAL_ENDS, id) end
  if kind == 'suspend' then mark_credential(subject, true) end
  note_act(by, ACTIONS[kind], subject, was, refusal_shown(reason, ends))
  return 'set'
end

drop_ended(now)
for i = 4, #ARGV, 4 do
  outcomes[#outcomes + 1] = set(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3])
end
for kind, count in pairs(counts) do note_refusal(kind, kind, last[kind][1], name, last[kind][2], last[kind][3], count) end
local version = next(counts) and refusals_changed() or tonumber(setting('version', 0))
return {version, outcomes, ignorant_instances()}
