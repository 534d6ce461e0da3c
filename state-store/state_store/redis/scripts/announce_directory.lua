-- Announces the mail directory that holds until one is set: path, 1 when it replaces an earlier one while no instance
-- is live. Answers the directory in force.
if ARGV[2] == '1' and #live_instances(lease_time()) == 0 then
  if redis.call('HGET', SETTINGS, 'announced_directory') ~= ARGV[1] then
    redis.call('HSET', SETTINGS, 'announced_directory', ARGV[1])
    redis.call('HINCRBY', SETTINGS, 'version', 1)
    redis.call('PUBLISH', EVENTS, 'settings')
  end
else
  redis.call('HSETNX', SETTINGS, 'announced_directory', ARGV[1])
end
return redis.call('HGET', SETTINGS, 'mail_directory') or redis.call('HGET', SETTINGS, 'announced_directory')
