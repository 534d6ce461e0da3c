-- The first digits of the SHA-1 of an allowance's id. Makes it whole. Answers 0 when it was not used up.
for _, id in ipairs(redis.call('ZRANGE', SLOWED, 0, -1)) do
  if string.sub(redis.sha1hex(id), 1, 12) == ARGV[1] then
    redis.call('ZREM', SLOWED, id)
    return redis.call('DEL', ALLOWANCE .. id)
  end
end
return 0
