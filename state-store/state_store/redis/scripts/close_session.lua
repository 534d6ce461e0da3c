-- Session id, 1 to notify its instance. Answers 1 when a live instance has this session open.
for _, instance in ipairs(live_instances(lease_time())) do
  if redis.call('HEXISTS', SESSIONS .. instance, ARGV[1]) == 1 then
    if ARGV[2] == '1' then redis.call('PUBLISH', EVENTS, 'close ' .. ARGV[1]) end
    return 1
  end
end
return 0
