"""The page in a real browser, opened as a file: what it shows, and how it is used."""

import json
import re

import numpy as np
import pytest

from nasbench_evs import load
from nasbench_evs.benchmark import find_table
from nasbench_evs.tables import read
from tests.analysis.explorer.conftest import HOSTILE, number

pytestmark = pytest.mark.slow

VIEWS = ("leaderboard", "architectures", "choices", "surrogate", "dataset")
PHONE = 360


class Page:
    """The page in the browser, and what a reader does with it."""

    def __init__(self, driver, path):
        self.driver, self.url = driver, path.as_uri()

    def go(self, view="", **parameters):
        """Open a view as a link to it does."""
        from urllib.parse import urlencode

        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#/{view}?{urlencode(parameters)}")
        self.wait("document.documentElement.dataset.ready === 'yes'")
        return self

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda driver: driver.execute_script(f"return {condition}"))

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def text(self, css):
        return self.js("return document.querySelector(arguments[0]).textContent", css)

    def rows(self, css):
        """The cells of a table's body, as text."""
        return self.js(
            "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(r => [...r.cells].map(c => c.textContent))",
            css,
        )

    def marks(self, css):
        """How many marks a plot has, when it is drawn."""
        self.wait(f"document.querySelector('{css}') !== null")
        return self.js("return document.querySelector(arguments[0]).children.length", css)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def focused(self):
        return self.js("return document.activeElement.cloneNode(false).outerHTML")

    def resize(self, width, height=800):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def brightness(self):
        """Of the background, 0 to 255."""
        color = self.js("return getComputedStyle(document.body).backgroundColor")
        return float(re.findall(r"[\d.]+", color)[0])


@pytest.fixture
def page(driver, explored):
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    found = Page(driver, explored.path)
    found.resize(1200)
    found.prefer("light")
    return found


@pytest.fixture
def everywhere(explored):
    """Every view of every table, and a card of an architecture of each."""
    places = [(view, {"table": name}) for name in explored.tables for view in VIEWS]
    cards = [("architecture", {"table": n, "text": t["architectures"]["text"][0]}) for n, t in explored.tables.items()]
    return places + cards


def test_nothing_is_fetched_nothing_fails_and_no_text_runs(page, everywhere):
    for view, parameters in everywhere:
        page.go(view, **parameters)
        assert page.js("return document.documentElement.dataset.view") == view
        assert page.text("main h2")
        assert "undefined" not in page.text("main")
        assert "NaN" not in page.text("main")
        assert "null" not in page.text("main")
        assert page.driver.title.endswith("nasbench-evs explorer")  # which hostile text would change
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.url in {url.partition("#")[0] for url in asked}
    assert {url for url in asked if not url.startswith(("file:", "data:"))} == set()


def test_hostile_names_are_shown_as_they_are(page, explored):
    own = list(explored.tables)[2]
    page.go("dataset", table=own)
    assert page.text("main h2") == f"{HOSTILE}, ffn-2"
    assert HOSTILE in page.text("article.card")
    assert page.js("return document.querySelectorAll('main img').length") == 0
    page.go("leaderboard", table=own)
    assert HOSTILE in [row[0] for row in page.rows("table.pooled")]


@pytest.mark.parametrize("regime", ["clean", "noisy", "transfer"])
def test_the_leaderboard(page, explored, regime):
    page.go("leaderboard")
    page.js("[...document.querySelectorAll('main button')].find(b => b.textContent === arguments[0]).click()", regime)
    assert page.text("main button[aria-pressed=true]") == regime
    found = next(each for each in explored.board["regimes"] if each["regime"] == regime)
    rows = page.rows("table.pooled")
    assert [row[0] for row in rows] == found["searchers"]
    header = page.js("return [...document.querySelectorAll('table.pooled thead th')].map(c => c.textContent)")
    end = header.index("at 12")
    for i, row in enumerate(rows):
        shown = [number(text) for text in re.findall(r"-?[\d.]+", row[end])]
        expected = [found["final"][part][i] for part in ("value", "low", "high")]
        assert shown == pytest.approx(expected, abs=6e-4)
    assert "no difference could have been found for sure" in page.text("#detectable")
    wins = page.rows("table.wins")
    for i, row in enumerate(wins):
        for j, cell in enumerate(row[1:]):
            if i != j:
                assert number(cell.split(" %")[0]) == pytest.approx(100 * found["wins"]["value"][i][j], abs=0.51)
    assert [row[0] for row in page.rows("table.benchmarks")] == [each["name"] for each in found["benchmarks"]]
    assert page.marks("g.means") == len(found["searchers"])


def test_without_results_the_leaderboard_says_how(driver, tmp_path):
    from nasbench_evs.analysis.explorer.page import write_page

    write_page(["digits"], None, tmp_path / "page.html")
    page = Page(driver, tmp_path / "page.html").go()
    assert page.js("return document.documentElement.dataset.view") == "architectures"
    page.go("leaderboard")
    assert "--results" in page.text("main .lead")


def test_any_two_columns_and_the_best_below(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "digits")
    page.go("architectures", table=data["name"], x="params", y="test")
    columns = data["architectures"]
    assert page.marks("g.architectures") == len(columns["text"])
    assert page.text("#shown").startswith(f"{len(columns['text'])} architectures shown")
    rows = page.rows("table.best")
    best = np.sort(np.array(columns["test"]))[::-1][: len(rows)]
    assert [number(row[1]) for row in rows] == pytest.approx(best, abs=1e-4)
    for row in rows:
        i = columns["text"].index(row[0])
        assert number(row[2]) == columns["params"][i]
    page.js(
        "const s = document.querySelectorAll('.controls select')[1]; s.value = 'valid_std'; s.dispatchEvent(new Event('change'))"
    )
    several = sum(value is not None for value in columns["valid_std"])
    assert page.text("#shown").startswith(f"{several} architectures shown; {len(columns['text']) - several} left out")
    assert "x=valid_std" in page.driver.current_url


def test_choices(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    page.go("choices", table=data["name"])
    assert "proposed by: random" in page.text("main .trust")
    expected = data["effects"]["valid"]
    assert page.text("#counted").startswith(f"{expected['architectures']} architectures")
    shown = [[number(cell) for cell in row[2:]] for row in page.rows("table.effects")]
    wanted = [
        [np.nan if value is None else value for value in option] for each in expected["choices"] for option in each
    ]
    assert np.array(shown) == pytest.approx(np.array(wanted, float), abs=1e-4, nan_ok=True)
    page.wait(f"document.querySelectorAll('.choice svg').length === {len(data['choices'])}")


def test_predicted_against_recorded(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    page.go("surrogate", table=data["name"], split="test")
    found = data["surrogate"]["splits"]["test"]
    assert page.marks("g.architectures") == found["architectures"] == 400
    assert f"recorded means is {found['tau']:.3f}" in page.text("#agreement")
    assert f"{found['reference']['value']:.4f}" in page.text("main")
    own = list(explored.tables)[2]
    assert "No surrogate is fitted" in page.go("surrogate", table=own).text("#no-surrogate")


def test_dataset_and_table_cards(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    page.go("dataset", table=data["name"])
    assert page.rows("table.facts") == data["facts"]
    assert "PhysioNet open access" in page.text("main")
    assert page.js("return [...document.images].every(i => i.complete && i.naturalWidth > 100)")
    assert page.js("return document.images.length") == 2


def test_an_architectures_card(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    text = "k1.n.a8gc.4x2/4x2.mean"
    page.go("architecture", table=data["name"], text=text)
    assert page.text("main h2") == text
    rank = load("physionet2012", source="table").space.parse(text).rank
    assert f"Rank {rank} in seqnas" in page.text("main .lead")
    assert "self heads 4, cross heads 2" in page.text(".parts")
    table = read(find_table("physionet2012"))
    frame = table.to_frame()
    frame = frame[frame.architecture == text]
    shown = [(row[0], row[1], number(row[4]), number(row[5])) for row in page.rows("table.trainings")]
    expected = [(str(r.seed), r.sampler, round(r.valid_score, 4), round(r.test_score, 4)) for r in frame.itertuples()]
    assert [row[:2] for row in shown] == [row[:2] for row in expected]
    assert np.array([row[2:] for row in shown]) == pytest.approx(np.array([row[2:] for row in expected]), abs=1.1e-4)
    page.wait("document.querySelector('main .plot svg [aria-label=line]') !== null")
    assert page.js("return document.querySelectorAll('main .plot svg [aria-label=line] path').length") == len(frame)


def test_neighbours_are_the_recorded_ones_of_the_space(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "digits")
    bench = load("digits", source="table")
    texts = data["architectures"]["text"]
    of = {t: {str(n) for n in bench.space.neighbors(bench.space.parse(t))} & set(texts) for t in texts[:40]}
    text = max(of, key=lambda each: len(of[each]))
    assert of[text]
    page.go("architecture", table=data["name"], text=text)
    rows = page.rows("table.neighbours")
    assert {row[0] for row in rows} == of[text]
    for row in rows:
        assert number(row[2]) == pytest.approx(data["architectures"]["valid"][texts.index(row[0])], abs=1e-4)


def test_search(page, explored):
    from selenium.webdriver.common.keys import Keys

    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    texts = data["architectures"]["text"]
    page.go("architectures", table=data["name"])
    page.js("document.getElementById('query').focus()")
    part = texts[200][:6]
    page.keys(part)
    listed = page.js("return [...document.querySelectorAll('#found a')].map(a => a.textContent)")
    begin = [text for text in texts if text.startswith(part)]
    assert listed == (begin + [t for t in texts if part in t and t not in begin])[:10]
    page.keys(Keys.BACKSPACE * len(part))
    page.keys(texts[7], Keys.ENTER)
    page.wait("document.documentElement.dataset.view === 'architecture'")
    assert page.text("main h2") == texts[7]


def test_what_is_not_recorded_is_said(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    space = load("physionet2012").space
    recorded = set(data["architectures"]["text"])
    unknown = next(str(a) for a in (space.sample(seed=i) for i in range(100)) if str(a) not in recorded)
    page.go("architectures", table=data["name"])
    page.js("document.getElementById('query').focus()")
    page.keys(unknown)
    said = page.text("#found")
    assert "is an architecture of seqnas, but nobody has trained it on physionet2012" in said
    assert f"nasbench-evs query physionet2012 --space seqnas --arch '{unknown}'" in said
    page.keys("?")
    assert "no whole string of seqnas" in page.text("#found")
    assert "nobody has trained it" in page.go("architecture", table=data["name"], text=unknown).text("#unknown")


def test_by_keyboard_to_a_card(page, explored):
    from selenium.webdriver.common.keys import Keys

    page.go("leaderboard")
    seen = []
    while "#/architectures" not in page.focused():
        page.keys(Keys.TAB)
        seen.append(page.focused())
        assert page.js("return getComputedStyle(document.activeElement).outlineStyle !== 'none'"), seen[-1]
        assert len(seen) < 12
    page.keys(Keys.ENTER)
    page.wait("document.documentElement.dataset.view === 'architectures'")
    assert page.js("return document.activeElement.tagName") == "H2"
    page.marks("g.architectures")
    while 'class="plot walk"' not in page.focused():
        page.keys(Keys.TAB)
    page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    walked = page.text(".plot + .note").split(" · ")[0]
    assert page.js("return document.querySelectorAll('g.architectures > .at').length") == 1
    page.keys(Keys.ENTER)
    page.wait("document.documentElement.dataset.view === 'architecture'")
    assert page.text("main h2") == walked
    page.driver.back()
    page.wait("document.documentElement.dataset.view === 'architectures'")
    while not page.focused().startswith('<a href="#/architecture?'):
        page.keys(Keys.TAB)
    first = page.js("return document.activeElement.textContent")
    page.keys(Keys.ENTER)
    page.wait("document.documentElement.dataset.view === 'architecture'")
    assert page.text("main h2") == first


def test_a_click_on_a_mark_opens_its_card(page, explored):
    from selenium.webdriver.common.action_chains import ActionChains

    own = list(explored.tables)[2]
    page.go("architectures", table=own, x="place", y="valid")
    page.marks("g.architectures")
    mark = page.js("return document.querySelectorAll('g.architectures > *')[3]")
    ActionChains(page.driver).move_to_element(mark).pause(0.2).click().perform()
    page.wait("document.documentElement.dataset.view === 'architecture'")
    assert page.text("main h2") == explored.tables[own]["architectures"]["text"][3]


def test_dark_mode_by_the_system_and_by_the_switch(page):
    page.prefer("dark")
    page.go("architectures")
    page.js("localStorage.clear(); location.reload()")
    page.wait("document.documentElement.dataset.ready === 'yes'")
    assert page.brightness() < 60
    assert page.js("return document.getElementById('theme').getAttribute('aria-checked')") == "true"
    page.js("document.getElementById('theme').click()")
    assert page.brightness() > 200
    page.go("choices")
    assert page.brightness() > 200  # it is remembered
    page.js("localStorage.clear()")


def test_on_a_phone_nothing_overflows(page, everywhere):
    page.resize(PHONE, 740)
    for view, parameters in everywhere:
        page.go(view, **parameters)
        page.wait("[...document.querySelectorAll('main .plot')].every(p => p.querySelector('svg'))")
        wide = page.js("return document.documentElement.scrollWidth")
        assert wide <= PHONE, (view, parameters, wide)


def test_controls_have_names_and_tables_have_heads(page, everywhere):
    for view, parameters in everywhere:
        page.go(view, **parameters)
        unnamed = page.js(
            """return [...document.querySelectorAll('button, input, select, a, [tabindex="0"]')].filter(e =>
              !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length))).map(e => e.outerHTML)"""
        )
        assert unnamed == []
        bare = page.js("return [...document.querySelectorAll('main table')].filter(t => !t.querySelector('th')).length")
        assert bare == 0
        assert page.js("return document.querySelectorAll('main h2').length") == 1


def test_neighbours_where_choices_have_conditions(page, explored):
    data = next(each for each in explored.tables.values() if each["dataset"] == "physionet2012")
    page.go("architectures", table=data["name"])
    found = page.driver.execute_async_script(
        """const [index, done] = arguments;
        Promise.all([import("explorer/neighbours"), import("explorer/state")]).then(([{neighbours}, {openTable}]) => {
          const table = openTable(index);
          done(table.architectures.text.map((_, i) => neighbours(table, i).map(({other, choice}) => [other, choice])));
        })""",
        list(explored.tables).index(data["name"]),
    )
    choices = np.array(data["architectures"]["choices"]).T
    space = load("physionet2012", source="table").space
    position = {text: i for i, text in enumerate(data["architectures"]["text"])}
    for row, near in zip(choices, found, strict=True):
        differ = choices != row
        both = differ & (choices >= 0) & (row >= 0)
        # A choice that only one of two has differs by what it hangs on; that alone may differ.
        wanted = {int(k) for k in np.flatnonzero(both.sum(axis=1) == 1)}
        wanted = {
            k for k in wanted if all(_hangs_on(space, c, int(both[k].argmax())) for c in np.flatnonzero(differ[k]))
        }
        assert {other for other, _ in near} == wanted
        assert all(both[other].argmax() == choice for other, choice in near)
        known = {position[str(n)] for n in space.neighbors(space.architectures(row[None])[0]) if str(n) in position}
        assert known <= wanted
    assert any(found)


def _hangs_on(space, column, ancestor):
    while column != ancestor:
        parent = space.choices[column].parent
        if parent is None:
            return False
        column = space.column(parent)
    return True
