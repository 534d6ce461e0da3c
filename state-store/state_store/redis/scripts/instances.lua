-- Answers for every live instance {id, ms that its lease still holds, its hash as field and value pairs}.
local now, answer = lease_time(), {}
for i, instance in ipairs(live_instances(now)) do
  answer[i] = {instance, tonumber(redis.call('ZSCORE', LEASES, instance)) - now,
    redis.call('HGETALL', INSTANCE .. instance)}
end
return answer
