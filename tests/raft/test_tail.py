"""The log as the core sees it is the log as the shell will have it."""

from random import Random

from hypothesis import given
from hypothesis.strategies import integers

from raft.interfaces import Index, Term
from raft.tail import Tail
from tests.raft.cores import entries
from tests.simulation.cores.member import SimLog


@given(seed=integers(0, 10_000))
def test_appends_and_cuts_in_any_order_come_to_the_same(seed: int) -> None:
    random = Random(seed)
    log = SimLog(held=entries(*[1] * random.randrange(4)))
    tail = Tail(log)
    model = [entry.term for entry in log.held]
    term = 1
    for _ in range(random.randrange(1, 25)):
        choice = random.random()
        if choice < 0.5:
            term += random.randrange(2)
            terms = [max([term, *model[-1:]])] * random.randrange(1, 4)
            tail.append(entries(*terms, first=len(model) + 1))
            model += terms
        elif choice < 0.75 and model:
            to_index = random.randrange(len(model))
            tail.cut(Index(to_index))
            del model[to_index:]
        else:
            cut_to, appended = tail.take()
            if cut_to is not None:
                assert cut_to < log.last_index
                log.cut(cut_to)
            if appended:
                log.append(appended)
            assert [entry.term for entry in log.held] == model
        assert tail.last == len(model)
        assert [tail.term(Index(index)) for index in range(tail.last + 1)] == [0, *model]
        assert tail.persisted <= tail.last
        at_most = random.randrange(5)
        found = tail.last_of_term_at_most(Term(at_most), tail.last, Index(0))
        assert found == sum(1 for each in model if each <= at_most)


def test_a_write_of_what_is_not_in_the_log_is_no_news() -> None:
    tail = Tail(log := SimLog())
    tail.append(entries(1, 1, 1))
    assert not tail.on_persisted(Term(1), Index(2)), "nobody has taken it"
    log.append(tail.take()[1])
    assert not tail.on_persisted(Term(2), Index(2))
    assert not tail.on_persisted(Term(1), Index(4))
    assert tail.on_persisted(Term(1), Index(2))
    assert not tail.on_persisted(Term(1), Index(2))
    tail.cut(Index(1))
    assert tail.persisted == 1
