"""The commands of docs/kubernetes.md, as words."""

import re
import shlex

from support.manifests import ROOT

PAGE = ROOT / "docs" / "kubernetes.md"


def commands(program: str) -> list[list[str]]:
    """Return every command of the page that has this program in it, pipes and all, in the page's order."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [words for words in map(shlex.split, lines) if program in words]
