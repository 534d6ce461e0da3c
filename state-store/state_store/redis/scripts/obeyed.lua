-- Version of the settings. Answers 1 when every live instance obeys it or a later one.
for _, instance in ipairs(live_instances(lease_time())) do
  if tonumber(redis.call('HGET', INSTANCE .. instance, 'settings_version') or 0) < tonumber(ARGV[1]) then
    return 0
  end
end
return 1
