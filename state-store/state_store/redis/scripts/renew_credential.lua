-- Username, credential with the version that it had. Does nothing once the user has another password, or none.
local before = credential_of(ARGV[1])
local version = string.match(ARGV[2], '^%S+ ')
if before and string.sub(before, 1, #version) == version and imported_kind(before) then
  keep_credential(ARGV[1], before, ARGV[2])
end
