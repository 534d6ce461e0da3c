-- Ask all live instances whether they can use a mail directory: proposal id, path. Answers who was asked.
redis.call('PUBLISH', EVENTS, 'directory ' .. ARGV[1] .. ' ' .. ARGV[2])
return live_instances(lease_time())
