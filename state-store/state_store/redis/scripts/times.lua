-- Times in words: at the head of the scripts that need it.

-- A time in ms, as RFC 3339 writes it to the second.
local function rfc3339(ms)
  local seconds = math.floor(ms / 1000)
  -- Years that begin in March have the leap day at their end; 146,097 days are 400 of them.
  local days = math.floor(seconds / 86400) + 719468
  local of_era = days % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * month + 2) / 5) + 1
  year, month = math.floor(days / 146097) * 400 + year + (month > 9 and 1 or 0), month + (month > 9 and -9 or 3)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d+00:00', year, month, day,
    math.floor(seconds / 3600) % 24, math.floor(seconds / 60) % 60, seconds % 60)
end
