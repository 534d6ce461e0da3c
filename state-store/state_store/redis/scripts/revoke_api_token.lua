-- By whom, and a token's name. Answers 0 when no token has it.
local by, name = unpack(ARGV)
if has_acted(by) then return 1 end
local known = redis.call('HGETALL', API_TOKENS)
for i = 1, #known, 2 do
  local entry = cjson.decode(known[i + 1])
  if entry[1] == name then
    redis.call('HDEL', API_TOKENS, known[i])
    redis.call('HDEL', API_TOKEN_USES, known[i])
    note_act(by, 'token.revoke', name, entry[2], '')
    return 1
  end
end
return 0
