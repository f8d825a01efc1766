"""AVecs: the bits of every choice's option, one choice after another; zeros where a choice is inactive."""

from collections.abc import Sequence

import numpy as np

from nasbench_evs.spaces.choices import Choice

_BLOCK = 1 << 13  # architectures at a time, which stay in the cache


class AVecCode:
    """Turns choice indices into AVecs; built once per space. `bits` is their length."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        # One more row, which index -1 finds.
        self._tables = [np.array([*choice.bits, (0,) * len(choice.bits[0])], np.uint8) for choice in choices]
        self._rows = [table.tolist() for table in self._tables]
        ends = np.cumsum([table.shape[1] for table in self._tables]).tolist()
        self._places = [slice(end - table.shape[1], end) for end, table in zip(ends, self._tables, strict=True)]
        self.bits: int = ends[-1]

    def row(self, indices: Sequence[int]) -> list[int]:
        """The AVec of one architecture's choice indices as a plain list."""
        bits: list[int] = []
        for rows, index in zip(self._rows, indices, strict=True):
            bits += rows[index]
        return bits

    def into(self, choices: np.ndarray, out: np.ndarray) -> None:
        """Write the AVecs of valid choice indices (N, C) into the first `bits` columns of `out`."""
        if out.flags.f_contiguous and not out.flags.c_contiguous:
            for column, (table, place) in enumerate(zip(self._tables, self._places, strict=True)):
                index = choices[:, column].astype(np.intp)
                for bit, values in zip(range(place.start, place.stop), table.T, strict=True):
                    out[:, bit] = values.astype(out.dtype)[index]
            return
        for start in range(0, len(choices), _BLOCK):
            columns = np.ascontiguousarray(choices[start : start + _BLOCK].T)
            # "wrap" finds -1 at the end, and need not look before it writes whether an index is inside.
            parts = [table.take(index, 0, mode="wrap") for table, index in zip(self._tables, columns, strict=True)]
            np.concatenate(parts, axis=1, out=out[start : start + _BLOCK, : self.bits])
