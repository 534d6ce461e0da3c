"""The paths of users' maildirs below the mail directory: `PEEP_MAILDIR_LAYOUT`."""

import re

DEFAULT_LAYOUT = "{user}"
FIELDS = ("{user}", "{local}", "{domain}")

LONGEST_LAYOUT_OCTETS = 128

_FIELD = re.compile(r"\{[^{}]*\}")
_PLAIN_NAME = re.compile(r"(?!\.{1,2}$)[!-.0-z|~]+")


class MaildirLayout:
    """A template of folders, such as `{domain}/{local}/Maildir`.

    No two users share a maildir, because the template contains the whole user name. No maildir contains
    another, because each folder of the template is one folder on disk, so all maildirs are equally deep.

    Raises ValueError, which says what the text must be, if it is not such a template.
    """

    __slots__ = ("_splits_names", "_template")

    def __init__(self, text: str = DEFAULT_LAYOUT) -> None:
        if len(text) > LONGEST_LAYOUT_OCTETS:
            raise ValueError(f"must be at most {LONGEST_LAYOUT_OCTETS} characters")
        if text.startswith("/"):
            raise ValueError("must be a path below the mail directory: no slash in front")
        folders = text.split("/")
        for folder in folders:
            _require_folder(folder)
        if "{user}" not in folders and not {"{local}", "{domain}"} <= set(folders):
            raise ValueError("must hold {user}, or {local} and {domain}: users would share a maildir")
        self._splits_names = "{local}" in folders or "{domain}" in folders
        self._template = text

    @property
    def folders(self) -> list[str]:
        """The folders of the template, from the mail directory on: each a field or a plain name."""
        return self._template.split("/")

    def folder_of(self, username: str) -> str | None:
        """Return the path of `username`'s maildir below the mail directory.

        None if the layout needs a `local@domain`, divided at the last `@`, and the name is not one.
        `username` must be one that P11 allows.
        """
        if not self._splits_names:
            return self._template.replace("{user}", username)  # faster than `format`, at each login
        local, _, domain = username.rpartition("@")
        # Each part is a folder, so P11 applies to it as to a whole name: nothing hidden, no `..`.
        if not local or not domain or local.startswith(".") or domain.startswith("."):
            return None
        return self._template.format(user=username, local=local, domain=domain)


def _require_folder(folder: str) -> None:
    if folder in FIELDS or _PLAIN_NAME.fullmatch(folder):
        return
    unknown = [field for field in _FIELD.findall(folder) if field not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a field: {', '.join(FIELDS)} are")
    if folder in {"", ".", ".."}:
        raise ValueError("must be names separated by single slashes, none of them . or ..")
    raise ValueError(
        f"each folder must be one of {', '.join(FIELDS)}, or a plain name: "
        "printable ASCII without spaces and braces"
    )
