"""Paths of nodes in day files, made of keys and read back as keys."""

from __future__ import annotations

import pytest

from dayfile.errors import SourceError
from dayfile.stores.nodes import fill_path


@pytest.mark.parametrize("key", ["1", "-1", "0"])
def test_a_text_key_that_would_be_read_back_as_a_number_is_refused(key):
    with pytest.raises(SourceError, match="would be read back as a number"):
        fill_path("/site_{site}/a", {"site": key})
    assert fill_path("/site_{site}/a", {"site": int(key)}) == f"/site_{key}/a"
    assert fill_path("/site_{site}/a", {"site": f"0{key}"}) == f"/site_0{key}/a"
