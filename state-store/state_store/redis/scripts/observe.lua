-- Number of names, or nothing. Answers {retrieved bytes, retrieved emails, removed emails, connections, logins, open,
-- logged in}; and where names are wanted the connection limit, and names of those who are logged in: of few users all, to
-- be sorted; of thousands about so many, without reading the others.
local most = tonumber(ARGV[1] or 0)
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
local logged_in = redis.call('HLEN', MAILDROPS)
answer[7] = tostring(logged_in)
if most > 0 then
  answer[8] = tostring(setting('max_connections', DEFAULT_MAX_CONNECTIONS))
  if logged_in <= MOST_NAMES_SORTED then
    answer[9] = redis.call('HKEYS', MAILDROPS)
  else
    local names, found = {}, redis.call('HSCAN', MAILDROPS, 0, 'COUNT', most)[2]
    for i = 1, #found, 2 do names[#names + 1] = found[i] end
    answer[9] = names
  end
end
return answer
