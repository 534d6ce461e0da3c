-- Number of a group, its text as it was read, and what is left of it or ''. A group that has changed since stays as it is.
local key = USER_RECORDS .. ARGV[1]
if redis.call('GET', key) ~= ARGV[2] then return end
if ARGV[3] == '' then
  redis.call('DEL', key)
else
  redis.call('SET', key, ARGV[3])
end
