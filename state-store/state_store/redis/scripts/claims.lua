-- Administrators: at the head of the scripts that need it. Those of `administrators` are named by settings, or were
-- made by a first start, and may do everything. Those of `made_administrators` were made while the services ran.

-- What front ends say that were seen lately: front end -> {its administrators' names, 1 when its settings name them}.
local function live_claims()
  local claims, newest, live = redis.call('HGETALL', FRONT_ENDS), 0, {}
  for i = 2, #claims, 2 do newest = math.max(newest, tonumber(string.match(claims[i], '^%d+'))) end
  for i = 1, #claims, 2 do
    local seen, is_kept, names = string.match(claims[i + 1], '^(%d+)(~?)(.*)$')
    if newest - seen > FRONT_END_MS then
      redis.call('HDEL', FRONT_ENDS, claims[i])
    else
      live[claims[i]] = {names, is_kept == '' and 1 or 0}
    end
  end
  return live
end

-- The names that settings of live front ends name, as keys.
local function names_of_settings()
  local found = {}
  for _, claim in pairs(live_claims()) do
    if claim[2] == 1 then
      for name in string.gmatch(claim[1], '%S+') do found[name] = true end
    end
  end
  return found
end

-- Whether anybody but this one may do everything.
local function is_another_for_all(name)
  for _, other in ipairs(redis.call('HKEYS', ADMINISTRATORS)) do
    if other ~= name then return true end
  end
  local made = redis.call('HGETALL', MADE_ADMINISTRATORS)
  for i = 1, #made, 2 do
    if made[i] ~= name and string.sub(made[i + 1], 1, 4) == 'all ' then return true end
  end
  return false
end
