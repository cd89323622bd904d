"""The log as the core sees it is the log as the shell will have it."""

from random import Random

from hypothesis import given
from hypothesis.strategies import integers

from raft.entries import Entry, EntryKind, new_entry
from raft.interfaces import Index, Term
from raft.tail import Tail
from tests.raft.cores import entries
from tests.simulation.cores.member import SimLog


@given(seed=integers(0, 10_000))
def test_appends_proposals_and_cuts_in_any_order_come_to_the_same(seed: int) -> None:
    random = Random(seed)
    log = SimLog(held=entries(*[1] * random.randrange(4)))
    tail = Tail(log)
    model = [*log.held]
    term, taken = 1, len(model)
    for _ in range(random.randrange(1, 25)):
        choice, last_term = random.random(), model[-1].term if model else 0
        if choice < 0.3:
            term += random.randrange(2)
            more = entries(*[max(term, last_term)] * random.randrange(1, 4), first=len(model) + 1)
            tail.append(more)
            model += more
        elif choice < 0.4:
            (own,) = entries(max(term, last_term), first=len(model) + 1)
            tail.append_own(own)
            model.append(own)
        elif choice < 0.6 and model:
            for body in random.choices([b"", b"a", b"bc"], k=random.randrange(1, 4)):
                assert tail.propose(last_term, body) == len(model) + 1
                model.append(new_entry(last_term, tail.last, EntryKind.COMMANDS, len(body), [body]))
        elif choice < 0.8 and model:
            to_index = random.randrange(len(model))
            tail.cut(Index(to_index))
            del model[to_index:]
            taken = min(taken, to_index)
        else:
            cut_to, appended = tail.take()
            if cut_to is not None:
                assert cut_to < log.last_index
                log.cut(cut_to)
            if appended:
                log.append(appended)
            assert [plain(entry) for entry in log.held] == [plain(entry) for entry in model]
            assert not tail.has_work
            taken = len(model)
        terms = [entry.term for entry in model]
        assert tail.has_work or taken == len(model)
        assert tail.last == len(model)
        if random.random() < 0.5:  # whoever looks changes nothing
            assert [tail.term(Index(index)) for index in range(tail.last + 1)] == [0, *terms]
            at_most = random.randrange(5)
            found = tail.last_of_term_at_most(Term(at_most), tail.last, Index(0))
            assert found == sum(1 for each in terms if each <= at_most)
        index, of_term = Index(random.randrange(len(model) + 2)), Term(random.randrange(1, term + 1))
        is_news = tail.persisted < index <= taken and model[index - 1].term == of_term
        assert tail.on_persisted(of_term, index) == is_news
        assert tail.persisted <= tail.last


def plain(entry: Entry) -> tuple[int, int, int, bytes, bytes]:
    return entry.term, entry.index, entry.kind, bytes(entry.header), b"".join(entry.body)


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
