"""The schema of a growing table as its head says it, in JSON: names and dtypes.

Does not depend on: pandas, memory, files.
"""

from colonnade.format.record import Record
from colonnade.format.schema import Dtype


class StoredColumn(Record):
    """A column: its name, and pandas' dtype as the layout metadata has it."""

    name: str
    dtype: Dtype


class StoredSchema(Record):
    """All columns, and the name of the one that frames have as their index."""

    columns: list[StoredColumn]
    index: str | None = None
