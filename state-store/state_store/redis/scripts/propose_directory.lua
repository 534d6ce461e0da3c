-- Proposal id, path. Asks all live instances whether they can use this mail directory; answers their ids.
redis.call('PUBLISH', EVENTS, 'directory ' .. ARGV[1] .. ' ' .. ARGV[2])
return live_instances(lease_time())
