"""Tables as people keep them (.csv, .tsv, .xlsx): read as text, never repaired in silence."""

import csv
import io
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

OLDEST = 125
"""Age in years; a higher one is a mistake."""
EMPTY = ("", "n/a")
"""No value; 'n/a' is how BIDS writes it. 'None' and 'NA' are texts."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula (OWASP, CSV injection)."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_WORDS = {",": "commas", "\t": "tabs", ";": "semicolons"}
_OTHER_FILES = {
    b"PK\x03\x04": "is an Excel file: call it .xlsx, or save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "is an Excel file of before 2007: save it as .xlsx or CSV UTF-8",
    b"\xff\xfe": "is UTF-16: save it as CSV UTF-8",
    b"\xfe\xff": "is UTF-16: save it as CSV UTF-8",
}
"""First bytes of what is no text in UTF-8, and what to do."""


def read_table(path: Path, header_row: int = 1) -> pd.DataFrame:
    """The rows below line `header_row` (counted from 1) as text without blanks around it; NaN for `EMPTY` cells.

    Rows without any value are left out. ValueError names the line and the mend where a row is longer or shorter than
    the header, or the file is not what its suffix says.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_SEPARATORS, ".xlsx"):
        raise ValueError(f"{path.name}: no table is read from {suffix or 'a file without suffix'}; save it as .csv")
    lines = enumerate(table_rows(path), start=1) if suffix == ".xlsx" else _text_rows(path, _SEPARATORS[suffix])
    rows = [(number, [cell.strip() for cell in cells]) for number, cells in lines if number >= header_row]
    rows = [(number, cells) for number, cells in rows if any(cells)]
    if not rows or rows[0][0] != header_row:
        raise ValueError(f"{path.name} has no header in line {header_row}: the line is empty or not there")
    header = rows[0][1]
    if suffix in _SEPARATORS:
        _check_separator(path, header, _SEPARATORS[suffix])
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise ValueError(
                f"{path.name}: line {number} has {len(cells)} cells, the header {len(header)}; take away a separator "
                "at the end, or put a cell that holds one in quotes"
            )
    table = pd.DataFrame([cells for _, cells in rows[1:]], columns=header, dtype=object)
    table = table.mask(table.isin(EMPTY))
    return table.loc[:, [bool(name) or cells.notna().any() for name, cells in table.items()]]


def rename_columns(table: pd.DataFrame, names: Mapping[str, str], file: str) -> pd.DataFrame:
    """The table with columns under our names: ours -> the table's without case and blanks, as far as they are there.

    ValueError where two columns have one name.
    """
    found = {ours: [column for column in table if spelt(column) == spelt(name)] for ours, name in names.items()}
    for ours, columns in found.items():
        if len(columns) > 1:
            raise ValueError(f"{file} has {len(columns)} columns {names[ours]}: {', '.join(columns)}; leave one")
    return table.rename(columns={columns[0]: ours for ours, columns in found.items() if columns})


def refuse_near_misses(columns: Collection[str], absent: Collection[str], file: str) -> None:
    """ValueError where a column that is not there may be one of those that are, misspelt: it must not be ignored."""
    for name in absent:
        near = near_columns(name, columns)
        if near:
            raise ValueError(
                f"{file} has no column {name}; did you mean {' or '.join(map(repr, near))}? Rename it to {name}, or to "
                "something else if it is something else"
            )


def near_columns(name: str, columns: Collection[str]) -> list[str]:
    """Columns that may be meant by `name`: nearly spelt so, or with it as a word ('Age (years)')."""
    texts, wanted = {column: spelt(column) for column in columns}, spelt(name)
    close = get_close_matches(wanted, texts.values(), n=3, cutoff=0.76)
    return [
        column
        for column, text in texts.items()
        # Nearly the same letters, the same in another order, or a word of the column's name.
        if text in close or sorted(text) == sorted(wanted) or wanted in re.split(r"[^a-z]+", column.lower())
    ]


def numeric_ages(ages: pd.Series, file: str) -> pd.Series:
    """NaN, with a warning, where an age is no number: it must not change those of the others into text.

    ValueError for an age that nobody has.
    """
    numbers = pd.to_numeric(ages, errors="coerce").astype(float)
    wrong = ages[numbers.isna() & ages.notna()]
    if len(wrong):
        warnings.warn(f"{len(wrong)} ages are no numbers and count as unknown, such as {wrong.iloc[0]!r}", stacklevel=3)
    impossible = numbers[(numbers < 0) | (numbers > OLDEST)]
    if len(impossible):
        raise ValueError(f"{file} has an age of {impossible.iloc[0]:g}; years are wanted")
    return numbers


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that would be a formula, such as a channel called `=A1`."""
    texts = [name for name, cells in table.items() if not pd.api.types.is_numeric_dtype(cells)]
    plain = {name: pd.Series(map(_plain, table[name]), table.index, object) for name in texts}  # no UTF-8 is asked for
    return table.assign(**plain)


def _plain(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def spelt(name: object) -> str:
    """A column's name without blanks, in small letters."""
    return "".join(str(name).lower().split())


def table_rows(path: Path) -> list[list[str]]:
    """The cells of every row of an .xlsx or .parquet file, the header's too, as text; empty ones are ''.

    ValueError where it cannot be read as such.
    """
    is_excel = path.suffix.lower() == ".xlsx"
    try:
        from anysleep.recordings.readers.guarded import GUARD  # readers themselves read tables

        # A small file may unpack to any size.
        sheet = GUARD.call(_excel_sheet if is_excel else _parquet_sheet, path, file=path)
    except Exception as error:  # the library lets all kinds of errors through when a file is damaged
        if isinstance(error, OSError) and error.filename:
            raise
        mend = "Excel: save it as .xlsx" if is_excel else "Parquet: save it as .parquet"
        raise ValueError(f"{path.name} cannot be read as a table of {mend}; if it is text, call it .csv") from error
    return sheet.fillna("").astype(str).to_numpy().tolist()


def _excel_sheet(path: Path) -> pd.DataFrame:
    return pd.read_excel(path, header=None, dtype=str, na_filter=False)


def _parquet_sheet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, engine="pyarrow").astype(str)
    return pd.DataFrame([list(table), *table.to_numpy().tolist()])


def _text_rows(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row."""
    content = path.read_bytes()
    for begin, what in _OTHER_FILES.items():
        if content.startswith(begin):
            raise ValueError(f"{path.name} {what}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name} is not UTF-8 (line {line}): save it as CSV UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 1
    try:
        for cells in rows:
            yield number, cells
            number = rows.line_num + 1  # a cell in quotes may hold several lines
    except csv.Error as error:
        raise ValueError(f"{path.name}: line {number} is broken ({error}); is a quote left open?") from error


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    others = [word for sign, word in _WORDS.items() if len(header) == 1 and sign != separator and sign in header[0]]
    if others:
        raise ValueError(
            f"{path.name} has {others[0]} between its columns, and {path.suffix} is read with {_WORDS[separator]}; "
            "save it with commas as .csv, or with tabs as .tsv"
        )
