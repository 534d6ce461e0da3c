-- Answers {retrieved bytes, retrieved emails, removed emails, connections, logins, open, logged in}.
local now = lease_time()
local counted = redis.call('HMGET', COUNTERS, 'retrieved_bytes', 'retrieved_emails', 'removed_emails',
  'connections', 'logins')
local answer = {}
for i = 1, 5 do answer[i] = counted[i] or '0' end
local open = 0
for _, instance in ipairs(live_instances(now)) do
  open = open + tonumber(redis.call('HGET', INSTANCE .. instance, 'open') or 0)
end
answer[6] = tostring(open)
reap(now)
answer[7] = tostring(redis.call('HLEN', MAILDROPS))
return answer
