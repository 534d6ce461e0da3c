-- By whom, the first digits of the SHA-1 of an allowance's id. Makes it whole. Answers 0 when it was not used up.
if has_acted(ARGV[1]) then return 1 end
for _, id in ipairs(redis.call('ZRANGE', SLOWED, 0, -1)) do
  if string.sub(redis.sha1hex(id), 1, 12) == ARGV[2] then
    redis.call('ZREM', SLOWED, id)
    if redis.call('DEL', ALLOWANCE .. id) == 0 then return 0 end
    note_act(ARGV[1], 'slowdown.lift', id)
    return 1
  end
end
return 0
