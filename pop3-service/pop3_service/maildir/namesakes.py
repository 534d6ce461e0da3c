"""Which message has which unique-id, where several files of a maildir share a unique part."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from pop3_service.maildir.file_location import FileLocation
from pop3_service.maildir.noted import NOTHING_NOTED, NotedUniqueIds
from pop3_service.maildir.unique_ids import unique_id_of_namesake, unique_part


def with_unique_ids(
    locations: Sequence[FileLocation],
    noted: NotedUniqueIds = NOTHING_NOTED,
    had_plain_id: Callable[[FileLocation], bool] = lambda _: False,
) -> tuple[list[tuple[FileLocation, bytes]], set[bytes]]:
    """Return one location and the unique-id of each message, in any order, and the ids that are not plain.

    Two names of one file with the same unique part are one message: for a moment it can be in `new` and
    `cur`. Of two files with the same unique part the one that had the plain unique-id has it, else the
    older one (by mtime, then by inode). Files whose own unique-ids are noted keep these.
    """
    by_part: defaultdict[bytes, list[FileLocation]] = defaultdict(list)
    for location in locations:
        by_part[unique_part(location.name)].append(location)
    identified, own = [], set()
    for part, namesakes in by_part.items():
        free = []
        for location in _one_for_each_file(namesakes):
            own_id = unique_id_of_namesake(part, location.identity.inode)
            if own_id in noted.own:
                identified.append((location, own_id))
                own.add(own_id)
            else:
                free.append((location, own_id))
        free.sort(key=lambda each: not had_plain_id(each[0]))  # stable: otherwise the older one is first
        identified += [(location, noted.plain_id(part)) for location, _ in free[:1]]
        identified += free[1:]
        own.update(own_id for _, own_id in free[1:])
    return identified, own


def _one_for_each_file(namesakes: Iterable[FileLocation]) -> list[FileLocation]:
    files: dict[tuple[int, int], FileLocation] = {}
    # A program that moves mail by link and unlink leaves the name in `cur`.
    for location in sorted(namesakes, key=lambda each: (each.folder != b"cur", each.name)):
        files.setdefault((location.identity.device, location.identity.inode), location)
    return sorted(files.values(), key=lambda each: (each.identity.mtime_ns, each.identity.inode))
