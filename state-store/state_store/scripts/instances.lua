-- For every live instance: its id, then its hash as field and value pairs.
local answer = {}
for i, instance in ipairs(live_instances(now_ms())) do
  answer[i] = {instance, redis.call('HGETALL', INSTANCE .. instance)}
end
return answer
