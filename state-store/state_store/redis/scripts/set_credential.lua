-- By whom, username, credential. Answers 1 when there is no such user.
if has_acted(ARGV[1]) then return 0 end
local before = credential_of(ARGV[2])
if not before then return 1 end
keep_credential(ARGV[2], before, ARGV[3])
note_act(ARGV[1], 'password.set', ARGV[2])
return 0
