"""Cards as HTML."""

from nasbench_evs.analysis.explorer.cards import cards, html
from nasbench_evs.benchmark import find_table


def test_a_shipped_dataset_has_both_with_their_figures():
    found = cards(find_table("physionet2012"))
    assert set(found["figures"]) == {"figure.png", "seqnas.png"}
    assert all(url.startswith("data:image/png;base64,") for url in found["figures"].values())
    assert "<strong>Leakage</strong>" in found["dataset"]
    assert "<h3>physionet2012</h3>" in found["dataset"]
    assert "<td>0.8445</td>" in found["table"]
    assert 'href="seqnas.md"' not in found["dataset"]


def test_of_another_table_only_its_own_card(tmp_path):
    (tmp_path / "README.md").write_text("something else")
    assert cards(tmp_path / "own.h5") == {"figures": {}, "dataset": None, "table": None}
    (tmp_path / "own.md").write_text("mine")
    assert cards(tmp_path / "own.h5")["table"] == "<p>mine</p>\n"


def test_html_links_and_figures_of_a_card_are_not_let_through(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    folder = tmp_path / "folder"
    folder.mkdir()
    text = "<b onclick=x>a</b> [b](javascript:x) [*c*](other.md) [d](https://e.org) ![f](../secret.png) ![g](https://e.org/a.png)"
    found, figures = html(text, folder)
    assert figures == {}
    assert found == (
        '<p>&lt;b onclick=x&gt;a&lt;/b&gt; [b](javascript:x) <em>c</em> <a href="https://e.org">d</a>  </p>\n'
    )
