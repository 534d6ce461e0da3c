"""Errors of the state store, as services see them.

Each front end has one table from these to its wire form (`-ERR`, `-4`, problem+json).
"""

from collections.abc import Sequence


class StateError(Exception):
    """Base of every error that the state store raises knowingly."""


class StoreUnavailable(StateError):
    """Redis cannot be reached, or does not answer in time, or cannot write."""


class StoreEmptied(StoreUnavailable):
    """Redis answers, but has lost this deployment's users or is another's: no service uses it."""

    def __init__(self) -> None:
        super().__init__(
            "this Redis has lost the users of this deployment, or is another one's: restore a backup, "
            "or go on without them by `peepctl store accept`"
        )


class StoreUnusable(StateError):
    """Redis answers, but can never serve us as it is: too old, or written by another layout version."""


class UserExists(StateError):
    """The user name is already in use (PEEP `-3`)."""


class UnknownUser(StateError):
    """No POP3 user has this name (PEEP `-4`)."""


class UnknownSession(StateError):
    """No open POP3 session has this id (PEEP `-4`)."""


class UnknownSlowDown(StateError):
    """No slow-down has this id, or it is over (PEEP `-4`)."""


class AdministratorExists(StateError):
    """The name is already an administrator's."""


class UnknownAdministrator(StateError):
    """No administrator has this name."""


class AdministratorOfSettings(StateError):
    """The settings of PEEP or HTTP name this administrator: only they can change or remove him."""


class ChangedTooOften(StateError):
    """The own password was changed `audit.MOST_SIGN_INS` times within an hour."""


class LastAdministrator(StateError):
    """Nobody else may do everything: who is the last may neither go nor lose that."""


class ApiTokenExists(StateError):
    """Another API token has this name."""


class UnknownApiToken(StateError):
    """No API token has this name."""


class TooMany(StateError):
    """As many administrators, or API tokens, exist as may."""


class UnknownRefusal(StateError):
    """No suspension, ban or exemption has this id, or it is over."""


class SlowedDown(StateError):
    """The allowance for wrong passwords that this one would draw on is used up (P18)."""


class SettingsChanged(StateError):
    """The settings were changed since the version that was to be changed."""


class NotUndoable(StateError):
    """The act is no change of one of the settings, or there was no value before it."""


class MailDirectoryRefused(StateError):
    """No POP3 instance answered for the directory, or one of them cannot use it (PEEP `-6`, P12).

    `faults` says for people which processes refuse it, and why; at least one line.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class LayoutDiffers(StoreUnavailable):
    """Live instances have another `layout` of maildirs: this instance may not serve beside them."""

    def __init__(self, layout: str) -> None:
        super().__init__(f"the other POP3 services have PEEP_MAILDIR_LAYOUT={layout}")
        self.layout = layout


class LeaseLapsed(StateError):
    """The instance's lease is over: what it held may belong to another instance by now.

    `counts_taken` says whether the store had taken the counts of this exchange before that.
    """

    def __init__(self, *, counts_taken: bool) -> None:
        super().__init__("the lease is over")
        self.counts_taken = counts_taken
