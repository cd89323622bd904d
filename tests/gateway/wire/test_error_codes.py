from kio.schema.errors import ErrorCode as Oracle

from gateway.wire.error_codes import ErrorCode


def test_codes_and_names_are_those_of_kafka() -> None:
    assert {code.value: code.name.lower() for code in ErrorCode} == {code.value: code.name for code in Oracle}


def test_retriable_codes_are_those_of_kafka() -> None:
    assert {code.value for code in ErrorCode if code.is_retriable} == {code.value for code in Oracle if code.retriable}


def test_every_code_has_a_sentence_of_its_own() -> None:
    sentences = [code.sentence for code in ErrorCode]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence and not sentence.endswith(".") for sentence in sentences)


def test_a_code_is_an_int16() -> None:
    assert ErrorCode(6) is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER == 6
    assert all(-(2**15) <= code < 2**15 for code in ErrorCode)
