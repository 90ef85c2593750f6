"""What is counted, and that a flood of bad requests is no flood of the log."""

import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orientd.web.service.numbers import Numbers
from orientd.web.service.workers import Load


@pytest.fixture
def clock():
    class Now:
        seconds = 1000.0

        def __call__(self):
            return self.seconds

    return Now()


def test_prometheus_reads_it(clock):
    numbers = Numbers("a model", logging.getLogger("orientd"), clock)
    numbers.answered(200)
    numbers.answered(429)
    numbers.refused("queue_full", "full")
    numbers.judged("fix", 0.5, 0.25)
    numbers.judged("error")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(numbers.text(Load(3, 2), 7))
        for sample in family.samples
    }
    assert found["orientd_serve_requests_total", "200"] == found["orientd_serve_requests_total", "429"] == 1
    assert found["orientd_serve_refused_total", "queue_full"] == 1
    assert found["orientd_serve_images_total", "fix"] == found["orientd_serve_images_total", "error"] == 1
    assert (found["orientd_serve_seconds_total", "waited"], found["orientd_serve_seconds_total", "took"]) == (0.5, 0.25)
    assert [found[f"orientd_serve_{name}",] for name in ("waiting", "working", "connections")] == [3, 2, 7]


def test_each_kind_is_told_once_a_minute_with_its_number(clock, caplog):
    numbers = Numbers("a model", logging.getLogger("orientd"), clock)
    for _ in range(1000):
        numbers.refused("queue_full", "full")
    numbers.refused("token_needed", "a token")
    numbers.fault(ValueError("odd"))
    numbers.fault(ValueError("odd"))
    clock.seconds += 60
    numbers.refused("queue_full", "full")
    assert [record.getMessage() for record in caplog.records] == [
        "turned away (queue_full): full",
        "turned away (token_needed): a token",
        "a picture met a fault of orientd (1 in all since the last message)",
        "turned away (queue_full, 1,000 times): full",
    ]
