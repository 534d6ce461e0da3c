-- Name, record as it was read, and what is left of it or '', of each. A record that has changed since stays as it is.
for i = 1, #ARGV, 3 do
  if redis.call('HGET', USER_RECORDS, ARGV[i]) == ARGV[i + 1] then
    if ARGV[i + 2] == '' then
      redis.call('HDEL', USER_RECORDS, ARGV[i])
    else
      redis.call('HSET', USER_RECORDS, ARGV[i], ARGV[i + 2])
    end
  end
end
