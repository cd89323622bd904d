"""What /metrics answers: the figures of the layers in Prometheus' text; names begin with `timesplit_`."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .telemetry import Figure

Reader = Callable[[], Iterable[Figure]]


class Exposition:
    """Owns the registry; readers are asked at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._readers: list[Reader] = []
        ProcessCollector(registry=self._registry)
        self._registry.register(_Readers(self._readers))

    def add(self, reader: Reader) -> None:
        self._readers.append(reader)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self._registry)


class _Readers(Collector):
    def __init__(self, readers: list[Reader]) -> None:
        self._readers = readers

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for reader in self._readers:
            for figure in reader():
                family = families.get(figure.name)
                if family is None:
                    kind = CounterMetricFamily if figure.is_counter else GaugeMetricFamily
                    family = families[figure.name] = kind(
                        f"timesplit_{figure.name}", figure.help, labels=list(figure.labels)
                    )
                assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
                family.add_metric(list(figure.labels.values()), figure.value)
        return families.values()
