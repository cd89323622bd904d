from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.wire.oracles import (
    LAYOUTS,
    Layout,
    assert_same,
    assert_same_as_kafka_python,
    kafka_python_decode,
    kio_bytes,
    kio_entities,
)

EXAMPLES = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@EXAMPLES
@given(data=st.data())
def test_bytes_and_values_equal_those_of_kio_and_kafka_python(layout: Layout, data: Any) -> None:
    entity = data.draw(kio_entities(layout.kio))
    written = kio_bytes(entity)

    ours, position = layout.decode(written)

    assert position == len(written)
    assert_same(ours, entity)
    assert layout.encode(ours) == written
    # kafka-python takes the body of a failed ApiVersions for version 0, whatever the error.
    is_odd = layout.api == "ApiVersions" and layout.direction == "response" and ours.error_code != 0
    if layout.kafka_python_or_none is not None and not is_odd:
        theirs = kafka_python_decode(layout, written)
        assert_same_as_kafka_python(ours, theirs, layout.version)
        assert theirs.encode(version=layout.version) == written


def test_kafka_python_knows_all_but_the_newest_layouts() -> None:
    unknown = [layout for layout in LAYOUTS if layout.kafka_python_or_none is None]
    assert len(unknown) < len(LAYOUTS) / 4, unknown
