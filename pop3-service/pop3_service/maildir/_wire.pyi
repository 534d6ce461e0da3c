SOURCE_DIGEST: str

def read_wire(
    descriptor: int,
    position: int,
    count: int,
    flags: int,
    before: int,
    is_last: bool,
    is_plain: bool,
    /,
) -> bytes | None: ...
def count_wire(descriptor: int, position: int, count: int, before: int, /) -> tuple[int, int, int, bool]: ...
