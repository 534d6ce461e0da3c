-- A token's digest and the address it was used from.
local now, last = now_ms(), redis.call('HGET', API_TOKEN_USES, ARGV[1])
if last and now - string.match(last, '^%d+') < TOKEN_USE_MS then return end
if redis.call('HEXISTS', API_TOKENS, ARGV[1]) == 1 then
  redis.call('HSET', API_TOKEN_USES, ARGV[1], string.format('%.0f ', now) .. ARGV[2])
end
