-- By whom, action, object, old, new: of a command that has changed something elsewhere than here.
if not has_acted(ARGV[1]) then note_act(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]) end
