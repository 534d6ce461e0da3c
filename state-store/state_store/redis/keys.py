"""Every key that Peep has in Redis, and the version of this layout.

All keys carry one hash tag, so that every script also runs on a Cluster.

    layout            string  version of this layout
    settings          hash    max_connections timeout_seconds mail_directory announced_directory version
    usernames         zset    names of POP3 users, all with score 0: sorted by their octets
    credentials       hash    username -> "<version> <argon2id hash> <SCRAM verifier, where there is one>"
    deployment        string  id of this deployment, made with its first user
    missed            set     ids of deployments that processes have missed here
    accepted          set     ids of those that an operator has given up
    secret            string  what made-up SCRAM verifiers are derived from, made once
    administrators    hash    name -> argon2id hash
    signed_out:<id>   string  empty, as long as a cookie of this ended sign-in would be good
    front_ends        hash    front end -> when it was seen last, ms, and the administrators of its settings
    counters          hash    retrieved_bytes retrieved_emails removed_emails connections logins
    latencies         hash    "command <bucket>", "login <bucket>" -> how many were so slow, and
                              "command us", "login us" -> microseconds in all
    activity          stream  the last logins, logouts and changes of settings
    leases            zset    instance id -> end of its lease, ms since the epoch by the server's clock
    clock             string  when leases were looked at last, ms by that clock: tells that it was set
    instance:<id>     hash    host process_id version started_at worker layout sequence number open
                              reserved settings_version load certificate_expires_at
    sessions:<id>     hash    session id -> JSON [user, address, connected_at, tls, octets, retrieved,
                              marked], of one instance
    addresses:<id>    hash    client address -> connections that an instance may have open from it
    maildrops         hash    username -> "<instance id> <session id> <maildir, if known>": the maildrop locks
    maildirs          hash    maildir (what all names of it have in common) -> "<instance id> <session id>"
    login:<username>  string  session id of the last login, as long as the login delay lasts
    known:<subject>   zset    network -> last login, ms; a subject is "user <name>" or "administrator <name>"
    refused:<network> <subject> list  keyed digests of the last wrong passwords, the newest first
    allowance:<id>    hash    full_at checks checks_until since held, ms; an id is "network <network>",
                              "user <subject>" or "pair <network> <subject>"
    slowed            zset    id of an allowance that was used up -> when it is whole at the latest, ms
    told:<network>    string  when its events about wrong passwords are whole in number again, ms
    told              string  the same for all networks together
    untold:<network>  string  wrong passwords that no event has told
    proposal:<id>     hash    instance id -> 1 or 0: can it use the proposed mail directory
    pulse             never there: what is written to it tells whether writes are taken
    events            channel of changes
"""

LAYOUT_VERSION = "1"

TAG = "{peep}:"
LAYOUT = TAG + "layout"
SETTINGS = TAG + "settings"
USERNAMES = TAG + "usernames"
CREDENTIALS = TAG + "credentials"
DEPLOYMENT = TAG + "deployment"
MISSED = TAG + "missed"
ACCEPTED = TAG + "accepted"
SECRET = TAG + "secret"
ADMINISTRATORS = TAG + "administrators"
FRONT_ENDS = TAG + "front_ends"
SIGNED_OUT = TAG + "signed_out:"
COUNTERS = TAG + "counters"
LATENCIES = TAG + "latencies"
ACTIVITY = TAG + "activity"
LEASES = TAG + "leases"
CLOCK = TAG + "clock"
INSTANCE = TAG + "instance:"
SESSIONS = TAG + "sessions:"
ADDRESSES = TAG + "addresses:"
MAILDROPS = TAG + "maildrops"
MAILDIRS = TAG + "maildirs"
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


def lua_names() -> str:
    """Return these keys as Lua locals, to stand at the head of every script."""
    names = {name: value for name, value in globals().items() if name.isupper() and name != "LAYOUT_VERSION"}
    return "".join(f"local {name} = '{value}'\n" for name, value in names.items())
