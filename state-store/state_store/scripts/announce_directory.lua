-- The mail directory that holds until one is set: path, 1 when it overrides an earlier announcement.
if ARGV[2] == '1' then
  if redis.call('HGET', SETTINGS, 'announced_directory') ~= ARGV[1] then
    redis.call('HSET', SETTINGS, 'announced_directory', ARGV[1])
    redis.call('HINCRBY', SETTINGS, 'version', 1)
    redis.call('PUBLISH', EVENTS, 'settings')
  end
else
  redis.call('HSETNX', SETTINGS, 'announced_directory', ARGV[1])
end
