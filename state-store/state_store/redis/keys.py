"""Every key that Peep has in Redis, and the version of this layout.

All keys carry one hash tag, so that every script also runs on a Cluster.

    layout            string  version of this layout
    settings          hash    max_connections timeout_seconds mail_directory announced_directory version
                              refusals_version
    usernames         zset    names of POP3 users, all with score 0: sorted by their octets
    credentials       hash    username -> "<version> <hash> <SCRAM verifier, where there is one>", while the
                              user is suspended with a "!" before it; the hash is argon2id's, or
                              "{<kind>}<text>" as it was imported (`hashes.imported`)
    refusals          hash    id -> lines: kind, subject, since, until (ms; 0: no end), by whom, reason
    refusal_names     zset    "<kind> <subject>" of each refusal, all with score 0
    refusal_ends      zset    id of a refusal with an end -> that end, ms
    imported_hashes   hash    kind of imported hash (scheme and cost) -> how many users have one; never 0
    deployment        string  id of this deployment, set with its first user
    missed            set     ids of deployments that processes have missed in this store
    accepted          set     ids of those that an operator has given up
    secret            string  the secret that made-up SCRAM verifiers are derived from, made once
    administrators    hash    name -> argon2id hash, of those that settings name or a first start made
    made_administrators hash  name -> "<role> <argon2id hash>", of those made while the services run
    api_tokens        hash    SHA-256 of a token -> JSON [name, role, networks separated by commas, end (ms,
                              0: never), when it was made, by whom]
    api_token_uses    hash    SHA-256 of a token -> "<last use, ms> <address>"
    signed_out:<id>   string  empty; there as long as a cookie of this ended sign-in would be valid
    front_ends        hash    front end -> "<when it was last seen, ms> <administrators of its settings>"; a ~
                              after the time: that of a first start, which it only keeps
    counters          hash    retrieved_bytes retrieved_emails removed_emails connections logins
    history:<step>    string  a ring of samples (`history.RECORD`), one for every so many seconds
    health            hash    "<name> <subject>" of a check that is not well -> its state, as noted last
    health_changes    stream  the last changes of these: name subject state text count
    health_watcher    string  the state-api process whose turn it is to note them; there as long as it is
    user_records:<group> string a line of each user in it (`user_records.group_of`): the name, a tab, and
                              traffic, last login, refusals as `user_records.RecordText` has them; with no
                              group all that is kept of names that nobody has, and of clients before login
    new_user_records:<group> string the same, to be renamed by the next step of adding notes; with "author"
                              for a group that step, and the instance that has written them
    user_notes        string  what instances have noted of users, in lines of `user_notes.NoteKind`, headed by
                              when, s, as a line "=<when>"
    user_notes_taken  string  the notes that are being added to the records
    user_notes_step   string  the next step of it; modulo their number, the first group that is not done
    user_notes_turn   string  the instance whose turn it is to add them
    records_since     string  when the first of these records was made, s
    latencies         hash    "command <bucket>", "login <bucket>" -> how many took so long, and
                              "command us", "login us" -> microseconds in all, and
                              "refused <reason>" -> refused logins
    activity          stream  the last logins, logouts and changes of settings; several of the first two may
                              share an entry (D72)
    audit             stream  acts of administrators: who door address token action object old new
    signed_in:<digest> string empty; there as long as this administrator's sign-ins by this door, from this
                              network, with this token are no new entry of the audit; of the dashboard's, and
                              of sign-outs, when their rate is whole again, ms
    refused_sign_ins  string  administrators' sign-ins that were refused and are in no entry of the audit yet
    refused_sign_ins_noted string  empty; there as long as no further entry tells of such
    audit_kept        hash    entries days: how much of it is kept
    acted:<id>        string  empty; there as long as this act may be repeated after a lost answer
    leases            zset    instance id -> end of its lease, ms since the epoch by the server's clock
    clock             string  when leases were last read, ms by that clock: shows a step of it
    instance:<id>     hash    host process_id version started_at worker layout knows_refusals sequence
                              number open reserved settings_version load, clock_ahead, and the fields of
                              `vitals.Vitals`
    sessions:<id>     hash    session id -> JSON [user, address, connected_at, tls, octets, retrieved,
                              marked, active_at, message_octets, message_sent], of one instance
    addresses:<id>    hash    client address -> connections that an instance may have open from it
    maildrops         hash    username -> "<instance id> <session id> <maildir, if known>": the maildrop locks
    maildirs          hash    maildir (a name equal for all its users) -> "<instance id> <session id>", or
                              "<instance id> move-<username>" while mail is moved there
    login:<username>  string  session id of the last login; there as long as the login delay lasts
    known:<subject>   zset    network -> last login, ms; a subject is "user <name>" or "administrator <name>"
    refused:<network> <subject> list  keyed digests of the last wrong passwords, the newest first
    allowance:<id>    hash    full_at checks checks_until since held, ms; an id is "network <network>",
                              "user <subject>" or "pair <network> <subject>"
    slowed            zset    id of an allowance that was used up -> when it is whole at the latest, ms
    told:<network>    string  when its rate of activities about wrong passwords is whole again, ms
    told              string  the same for all networks together
    untold:<network>  string  wrong passwords without an activity yet
    proposal:<id>     hash    instance id -> 1 if it can use the proposed mail directory, else 0
    move_source       string  the old server that users' mail is moved from, as host:port
    moving            hash    username -> "<instance id> <when it was written, ms> <JSON [messages here,
                              in all, '']>"
    moves_failed      hash    username -> "<when it failed, ms> <JSON [messages here, in all, reason]>"
    moved             zset    username -> when all mail was here, ms; 0 for users that were removed
    pulse             never there: a write to it shows whether writes are accepted
    events            channel of notifications to the instances
"""

LAYOUT_VERSION = "1"

TAG = "{peep}:"
LAYOUT = TAG + "layout"
SETTINGS = TAG + "settings"
USERNAMES = TAG + "usernames"
CREDENTIALS = TAG + "credentials"
REFUSALS = TAG + "refusals"
REFUSAL_NAMES = TAG + "refusal_names"
REFUSAL_ENDS = TAG + "refusal_ends"
IMPORTED_HASHES = TAG + "imported_hashes"
DEPLOYMENT = TAG + "deployment"
MISSED = TAG + "missed"
ACCEPTED = TAG + "accepted"
SECRET = TAG + "secret"
ADMINISTRATORS = TAG + "administrators"
MADE_ADMINISTRATORS = TAG + "made_administrators"
API_TOKENS = TAG + "api_tokens"
API_TOKEN_USES = TAG + "api_token_uses"
FRONT_ENDS = TAG + "front_ends"
SIGNED_OUT = TAG + "signed_out:"
COUNTERS = TAG + "counters"
HISTORY = TAG + "history:"
HEALTH = TAG + "health"
HEALTH_CHANGES = TAG + "health_changes"
HEALTH_WATCHER = TAG + "health_watcher"
USER_RECORDS = TAG + "user_records:"
NEW_USER_RECORDS = TAG + "new_user_records:"
USER_NOTES = TAG + "user_notes"
USER_NOTES_TAKEN = TAG + "user_notes_taken"
USER_NOTES_STEP = TAG + "user_notes_step"
USER_NOTES_TURN = TAG + "user_notes_turn"
RECORDS_SINCE = TAG + "records_since"
LATENCIES = TAG + "latencies"
ACTIVITY = TAG + "activity"
AUDIT = TAG + "audit"
SIGNED_IN = TAG + "signed_in:"
REFUSED_SIGN_INS = TAG + "refused_sign_ins"
REFUSED_SIGN_INS_NOTED = TAG + "refused_sign_ins_noted"
AUDIT_KEPT = TAG + "audit_kept"
ACTED = TAG + "acted:"
LEASES = TAG + "leases"
CLOCK = TAG + "clock"
INSTANCE = TAG + "instance:"
SESSIONS = TAG + "sessions:"
ADDRESSES = TAG + "addresses:"
MAILDROPS = TAG + "maildrops"
MAILDIRS = TAG + "maildirs"
MOVE_SOURCE = TAG + "move_source"
MOVING = TAG + "moving"
MOVES_FAILED = TAG + "moves_failed"
MOVED = TAG + "moved"
MOVE_SESSION = "move-"
"""In a maildir's lock, with the name of the user whose mail is moved there, instead of a session's id."""
PULSE = TAG + "pulse"
LOGIN = TAG + "login:"
KNOWN = TAG + "known:"
REFUSED = TAG + "refused:"
ALLOWANCE = TAG + "allowance:"
SLOWED = TAG + "slowed"
TOLD = TAG + "told:"
TOLD_OF_ALL = TAG + "told"
UNTOLD = TAG + "untold:"
PROPOSAL = TAG + "proposal:"
EVENTS = TAG + "events"


def lua_literals() -> dict[str, str]:
    """Return these keys as they stand in Lua, by their names here."""
    return {
        name: f"'{value}'" for name, value in globals().items() if name.isupper() and name != "LAYOUT_VERSION"
    }
