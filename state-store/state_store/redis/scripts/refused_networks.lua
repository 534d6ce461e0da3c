-- Instance, the name to begin after or ''. Answers {now, the last name or '' at the end, {kind, subject, until, reason of
-- each network...}, {session, reason of each session of the instance whose user is suspended...}}.
local now = now_ms()
drop_ended(now)
local rows, last = refusal_page('(' .. ARGV[2], '+')
local users, reasons, networks, sessions = {}, {}, {}, {}
for _, row in ipairs(rows) do
  local kind, subject, _, ends, _, reason = refusal_row(row)
  if kind == 'suspend' then
    users[#users + 1], reasons[#users + 1] = subject, reason
    mark_credential(subject, true)  -- a state-api of an earlier version sets passwords without the mark
  else
    for _, word in ipairs({kind, subject, ends, reason}) do networks[#networks + 1] = word end
  end
end
for i, lock in ipairs(#users > 0 and redis.call('HMGET', MAILDROPS, unpack(users)) or {}) do
  local instance, session = holder(lock)
  if instance == ARGV[1] then
    sessions[#sessions + 1] = session
    sessions[#sessions + 1] = reasons[i]
  end
end
return {now, last, networks, sessions}
