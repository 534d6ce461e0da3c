-- By whom, the token's digest, its name and role, networks separated by commas, and when it ends (ms, 0 for never).
-- Answers 'done', or what is in the way: 'exists', 'full'.
local by, digest, name, role, networks, ends = unpack(ARGV)
if has_acted(by) then return 'done' end
local known = redis.call('HVALS', API_TOKENS)
if #known >= MOST_API_TOKENS then return 'full' end
for _, text in ipairs(known) do
  if cjson.decode(text)[1] == name then return 'exists' end
end
local entry = {name, role, networks, tonumber(ends), now_ms(), cjson.decode(by)[2]}
redis.call('HSET', API_TOKENS, digest, cjson.encode(entry))
local where = networks ~= '' and ' from ' .. networks or ''
local till = tonumber(ends) > 0 and ' (until ' .. rfc3339(tonumber(ends)) .. ')' or ''
note_act(by, 'token.make', name, '', role .. where .. till)
return 'done'
