-- Answers for every live instance {id, its session rows as field and value pairs}.
local answer = {}
for i, instance in ipairs(live_instances(lease_time())) do
  answer[i] = {instance, redis.call('HGETALL', SESSIONS .. instance)}
end
return answer
