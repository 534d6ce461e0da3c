"""Whether a folder can be the mail directory."""

import os
from collections.abc import Sequence


def mail_directory_verdict(path: str, roots: Sequence[str]) -> bool:
    """Tell whether this process can serve mail from the mail directory `path` (P12).

    It must be absolute, exist, be a folder that this process can list, write and search, and,
    where `roots` are given, lie at or below one of them after every link is resolved. Blocks on
    the disk, which may be far away: call it in a thread.
    """
    try:
        return os.path.isabs(path) and _is_within(path, roots) and _is_usable(path)
    except (OSError, ValueError):
        # ValueError is what a NUL in a path gives.
        return False


def _is_usable(path: str) -> bool:
    effective = os.access in os.supports_effective_ids
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        return False
    # Listed as well: what access(2) says is a guess on a network file system.
    with os.scandir(path) as entries:
        next(entries, None)
    return True


def _is_within(path: str, roots: Sequence[str]) -> bool:
    if not roots:
        return True
    real = os.path.realpath(path, strict=True)
    return any(_is_at_or_below(real, os.path.realpath(root)) for root in roots if os.path.isabs(root))


def _is_at_or_below(path: str, root: str) -> bool:
    # By components, for `/mail/a` is not above `/mail/ab`.
    return os.path.commonpath((path, root)) == root
