from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharding.views.names import split_view_name, view_id, view_name
from store.emission import ViewKind


@given(st.text(min_size=1), st.sampled_from(ViewKind))
def test_a_view_name_tells_its_topic_and_kind(topic_name: str, kind: ViewKind) -> None:
    assert split_view_name(view_name(topic_name, kind)) == (topic_name, kind)


@pytest.mark.parametrize("name", ["trades", "t.__time.other", ".__time", "__ticks", "t.__offsets", "t__time"])
def test_other_names_are_no_views(name: str) -> None:
    assert split_view_name(name) is None


def test_a_topic_created_anew_has_other_view_ids() -> None:
    assert view_id(uuid4(), ViewKind.TIME) != view_id(uuid4(), ViewKind.TIME)
