-- The beginning of an allowance's SHA-1. Makes the allowance whole; 0 when it was not used up.
for _, id in ipairs(redis.call('ZRANGE', SLOWED, 0, -1)) do
  if string.sub(redis.sha1hex(id), 1, 12) == ARGV[1] then
    redis.call('ZREM', SLOWED, id)
    return redis.call('DEL', ALLOWANCE .. id)
  end
end
return 0
