-- Begins the lease of a new instance: id, layout of maildirs, then field and value pairs of its hash. If a live
-- instance has another layout, changes nothing and answers that one.
local now = lease_time()
for _, other in ipairs(live_instances(now)) do
  local layout = redis.call('HGET', INSTANCE .. other, 'layout')
  if layout and layout ~= ARGV[2] then return layout end
end
redis.call('HSET', INSTANCE .. ARGV[1], unpack(ARGV, 3))
redis.call('PERSIST', INSTANCE .. ARGV[1])
redis.call('ZADD', LEASES, now + LEASE_MS, ARGV[1])
return false
