"""Verify: whether the target holds what the source holds, and where it does not."""

from ui import compare_form, kit, run_list, state, verify_view

kit.heading("Verify", "A run is proven when every record of the source is accounted for and the target, read back, has the very same content.")


def page() -> None:
    """Draw the proof of the chosen run."""
    run = run_list.choose(known, "verify")
    if run is not None:
        verify_view.draw(run)


with kit.guarded():
    known = state.runs()
    run_list.or_nothing(known, page)
compare_form.draw()
