"""A refusal that all jobs of a run share."""

from bhds.backfill import refusal


def test_the_first_to_be_refused_is_told_so_and_all_others_know(tmp_path):
    assert refusal.known(tmp_path, "spot") is None

    assert refusal.note(tmp_path, "spot", message="451: not here")
    assert not refusal.note(tmp_path, "spot", message="451: nor there")

    assert refusal.known(tmp_path, "spot") == "451: not here"
    assert refusal.known(tmp_path, "um_futures") is None


def test_a_new_run_may_ask_again(tmp_path):
    refusal.forget(tmp_path)
    refusal.note(tmp_path, "spot", message="403")

    refusal.forget(tmp_path)

    assert refusal.known(tmp_path, "spot") is None
    assert refusal.note(tmp_path, "spot", message="403")
