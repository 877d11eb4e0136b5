"""TSV through Arrow's parser, for the lines on which it agrees with a split at tabs."""

from __future__ import annotations

import codecs

import pyarrow as pa
import pyarrow.csv


def parse(data: bytes, width: int) -> pa.RecordBatch | None:
    """Parse lines without a header.

    Args:
        data: Whole lines.
        width: The number of cells in each.

    Returns:
        One row per line, with columns of strings; None if a line is blank, has another number of cells or is not
        UTF-8, and where Arrow would see other lines or texts.
    """
    if data.startswith(codecs.BOM_UTF8) or b"\0" in data:  # Arrow would skip the mark
        return None
    if data.count(b"\r") != data.count(b"\r\n"):  # to Arrow, a carriage return alone ends a line
        return None
    names = [str(number) for number in range(width)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=len(data) + 1),
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException:
        return None
    batches = table.combine_chunks().to_batches()
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    return batches[0] if len(batches) == 1 and batches[0].num_rows == lines else None
