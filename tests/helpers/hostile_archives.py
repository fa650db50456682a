"""Archives that are small, or say they are huge."""

import zlib

from helpers.sampling import LISTS, NIGHTS, write_archive


def toy_archive(folder):
    return write_archive(folder, NIGHTS[:3], {name: LISTS[name] for name in ("alone", "big")})


def index_of(path):
    return path.with_name(f".{path.name}.index")


def huge(file, name, shape=2**40, chunk=2**20, **options):
    """A compressed dataset whose only chunk is written, a few bytes of zeros."""
    del file[name]
    data = file.create_dataset(name, (shape,), "f4", chunks=(chunk,), compression="gzip", **options)
    data.id.write_direct_chunk((0,), zlib.compress(bytes(2**20)))
