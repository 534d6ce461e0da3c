-- Id, limit. Answers {id of the first remembered activity, of the last, how many were ever added, how many are
-- remembered, {activity after the id...}}.
if redis.call('EXISTS', ACTIVITY) == 0 then return {'0-0', '0-0', 0, 0, {}} end
local about, info = redis.call('XINFO', 'STREAM', ACTIVITY), {}
for i = 1, #about, 2 do info[about[i]] = about[i + 1] end
local first = redis.call('XRANGE', ACTIVITY, '-', '+', 'COUNT', 1)[1]
local after = redis.call('XRANGE', ACTIVITY, '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {first and first[1] or '0-0', info['last-generated-id'], info['entries-added'], info['length'], after}
