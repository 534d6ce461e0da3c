"""Completion and history of `peepctl shell`."""

from collections.abc import Callable, Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from peep_client import Capabilities
from peep_client.protocol.commands import KNOWN

LOCAL_WORDS = {"help": "list the commands", "exit": "end the session"}

MOST_WORDS_KEPT = 2


class PeepCompleter(Completer):
    """Completes the commands of the PEEP text and the extensions that the server has."""

    def __init__(self, capabilities: Callable[[], Capabilities | None]) -> None:
        self._capabilities = capabilities

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the completions of the word before the cursor."""
        first, space, word = document.text_before_cursor.partition(" ")
        if not space:
            words = self._commands() | LOCAL_WORDS
            word = first
        elif first == "help":
            words = self._commands()
        else:
            return
        for name, summary in words.items():
            if name.startswith(word):
                yield Completion(name, start_position=-len(word), display_meta=summary)

    def _commands(self) -> dict[str, str]:
        capabilities = self._capabilities()
        extensions = capabilities.extensions if capabilities else ()
        words = {
            name: row.summary for name, row in KNOWN.items() if not row.is_extension or name in extensions
        }
        return words | {name: "an extension" for name in extensions if name not in words}


class DiscreetHistory(FileHistory):
    """A history file without the lines that may contain a password."""

    def store_string(self, string: str) -> None:
        """Keep a line."""
        # Only passwords are second arguments. Counting words also catches a mistyped `u+`.
        if len(string.split()) <= MOST_WORDS_KEPT:
            super().store_string(string)
