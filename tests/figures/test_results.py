"""The table of the README."""

from figures import results


def test_table_goes_between_the_marks():
    text = f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n"
    new = results.with_table(text, "new\n")
    assert new == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter\n"
    assert results.with_table(new, "new\n") == new
    assert results.with_table("no marks\n", "new\n") == "no marks\n"
