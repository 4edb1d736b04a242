"""How runs stand."""

from __future__ import annotations

import json

from lipbench.outcome import Outcome
from lipbench.runs.run_folder import RunFolder, Status


def test_every_outcome_that_has_ended_is_a_result_or_a_failure():
    results = {outcome for outcome in Outcome if outcome.is_result}
    failures = {outcome for outcome in Outcome if outcome.is_failure}
    assert results == {"completed", "pruned", "diverged"}
    assert failures == {"failed", "out_of_memory"}
    assert {outcome for outcome in Outcome if outcome.ended} == results | failures


def test_an_outcome_is_its_word_in_files_and_comes_back_from_it(tmp_path):
    folder = RunFolder(tmp_path)
    for outcome in Outcome:
        folder.set_status(Status(outcome, None, 3))
        stored = (tmp_path / "status.json").read_text(encoding="utf-8")
        assert f'"outcome": "{outcome.value}"' in stored
        assert json.loads(stored)["outcome"] == outcome.value
        assert folder.status().outcome is outcome
