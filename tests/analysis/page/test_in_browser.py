"""The page in a real browser: what it draws, what its controls do, and that it asks nobody for anything."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from marlpipe.analysis.page.comparison import comparison
from marlpipe.analysis.page.page import page
from marlpipe.analysis.page.serving import ServedPage, server
from tests.analysis.page.browser import Tab, browser, program
from tests.analysis.page.grid_of_runs import curve, png, write_grid, write_run, write_troubles
from tests.support.command import verb

run = verb("compare")

CHROMIUM = program()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make test-page installs one")

CURVES = "document.querySelector('section.env figure.curves canvas')"
# a number that changes with the picture, and how many of its pixels are drawn on
PICTURE = f"""(() => {{
  const canvas = {CURVES}, pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0, drawn = 0;
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3]) {{
    drawn++;
    sum = (sum * 31 + pixels[at] + at) % 1e9;
  }}
  return [sum, drawn];
}})()"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    assert CHROMIUM is not None
    with browser(CHROMIUM) as one:
        yield one


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page of a grid with all that can be wrong with one."""
    root = tmp_path_factory.mktemp("grid")
    write_grid(root)
    write_troubles(root)
    assert run([str(root)]) == 0
    return (root / "comparison" / "index.html").as_uri()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_asks_for_nothing(tab: Tab, grid: str, tmp_path: Path, width: int, dark: bool) -> None:
    tab.open(grid, width, dark=dark)
    assert tab.requests == [grid]
    assert tab.complaints == []
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")  # nothing to be scrolled sideways
    tab.run(f"{CURVES}.scrollIntoView()")
    tab.drawn()
    assert tab.run(PICTURE)[1] > 5000
    background = tab.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    tab.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_all_texts_have_enough_contrast(tab: Tab, grid: str) -> None:
    """The colours of texts against those behind them, as WCAG's AA asks of them: 4.5."""
    for dark in (False, True):
        tab.open(grid, dark=dark)
        pairs = [("--ink", "--ground"), ("--faint", "--ground"), ("--faint", "--raised"), ("--accent", "--ground")]
        pairs += [("--warn", "--warn-ground"), ("--warn", "--ground"), ("--bad", "--ground"), ("--good", "--ground")]
        for text, behind in pairs:
            assert contrast(*(tab.run(f"colourOf({name!r})") for name in (text, behind))) >= 4.5, (text, behind, dark)


def contrast(one: str, other: str) -> float:
    """Of two colours #rrggbb."""
    high, low = sorted(map(luminance, (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_control_changes_the_curves(tab: Tab, grid: str) -> None:
    tab.open(grid)
    tab.run(f"{CURVES}.scrollIntoView()")
    seen = [tab.run(PICTURE)]
    for control in ("[name=axis][value='1']", "[name=axis][value='2']", "[name=seeds]", "[name=band]", ".legend input"):
        tab.run(f'document.querySelector("{control}").click()')
        tab.drawn()
        seen.append(tab.run(PICTURE))
    assert tab.run("state.band") is False
    tab.run("controls.elements.seeds.click()")
    tab.drawn()
    without = tab.run(PICTURE)[1]
    tab.run("controls.elements.band.click()")
    tab.drawn()
    assert tab.run(PICTURE)[1] > 1.2 * without  # what a band fills
    smooth = "document.querySelector('[name=smooth]')"
    tab.run(f"{smooth}.value = 5; {smooth}.dispatchEvent(new Event('input', {{ bubbles: true }}))")
    tab.drawn()
    seen.append(tab.run(PICTURE))
    assert len({told for told, _ in seen}) == len(seen)
    tab.run("[...document.querySelectorAll('.legend button')].find(b => b.textContent === 'none').click()")
    tab.drawn()
    few = tab.run(PICTURE)[1]
    assert few < seen[-1][1]
    state = tab.run("JSON.stringify(state)")
    tab.ask("Page.reload")
    tab.wait_for_load(tab.loads)
    assert tab.run("JSON.stringify(state)") == state
    tab.run("sessionStorage.clear()")


def test_arms_are_switched_by_keyboard(tab: Tab, grid: str) -> None:
    tab.open(grid)
    tab.run(f"{CURVES}.scrollIntoView()")
    for _ in range(60):
        tab.press("Tab")
        if tab.run("document.activeElement.matches('.legend input')"):
            break
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    before = tab.run(PICTURE)
    tab.press(" ")
    assert tab.run("document.activeElement.checked") is False
    assert tab.run(PICTURE) != before
    tab.run("sessionStorage.clear()")


def test_a_run_opens_by_click_and_closes_by_key(tab: Tab, grid: str) -> None:
    tab.open(grid)
    tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    tab.run(
        "[...document.querySelectorAll('button.run')].filter(b => data.runs[b.dataset.run].name.includes('cw_qmix'))"
        ".at(-1).click()"
    )
    told = tab.run("document.getElementById('run').innerText")
    for expected in ("finished", "algo=cw_qmix", "732cca68460a128c", "learning_rate: 0.001", "figures/values.png"):
        assert expected in told
    tab.drawn()
    assert tab.run("document.querySelector('#run img').naturalWidth") == 120
    tab.press("Escape")
    assert tab.run("document.getElementById('run').open") is False


def test_a_click_on_a_curve_opens_its_run(tab: Tab, grid: str) -> None:
    tab.open(grid)
    tab.run(f"{CURVES}.scrollIntoView({{ block: 'center' }})")
    tab.drawn()
    x, y, seed = tab.run(f"""(() => {{
      const canvas = {CURVES}, box = canvas.getBoundingClientRect();
      const mark = plots.get(canvas).marks.find(one => one.run !== undefined), place = mark.places.at(-3);
      return [box.left + place[0], box.top + place[1], data.runs[mark.run].seed];
    }})()""")
    tab.click(x, y)
    assert tab.run("document.getElementById('run').open")
    assert isinstance(seed, int)
    tab.press("Escape")


def test_nothing_from_a_folder_is_executed(tab: Tab, tmp_path: Path) -> None:
    """By the escapes alone: the page is opened without its policy too."""
    evil = "</script><img src=x onerror='window.hacked=1'><script>window.hacked=1</script>$title\" onclick='x'"
    folder = write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0, 3.0], state="failed", reason=evil)
    record = folder.run.read_text().replace('"label": "qmix"', f'"label": {json.dumps(evil)}')
    record = record.replace('"env": "cartpole"', f'"env": {json.dumps(evil)}').replace(
        "python -m marlpipe", json.dumps(evil)[1:-1]
    )
    folder.run.write_text(record)
    folder.config.write_text(f"env: {evil!r}\n")
    (folder.path / "figures").mkdir()
    (folder.path / "figures" / "<img src=x onerror=alert(1)>.png").write_bytes(png(8, 8))
    assert run([str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    policy = text[text.index("<meta http-equiv") : text.index("\n", text.index("<meta http-equiv"))]
    (tmp_path / "out" / "bare.html").write_text(text.replace(policy, ""))
    for name in ("index.html", "bare.html"):
        tab.open((tmp_path / "out" / name).as_uri())
        tab.run("openRun(0)")
        tab.drawn()
        assert tab.run("window.hacked") is None
        assert tab.run("[...document.images].every(image => image.src.startsWith('data:image/png;base64,'))")
        assert tab.run("document.scripts.length") == 2
        assert "<img src=x onerror='window.hacked=1'>" in tab.run(
            "document.querySelector('section.env h2').textContent"
        )
        assert tab.complaints == []
        assert len(tab.requests) == 1 + tab.run("document.images.length")  # which are data themselves


def test_a_served_page_shows_what_has_come_since(tab: Tab, tmp_path: Path) -> None:
    write_grid(tmp_path, envs=1, arms=2, seeds=2, evaluations=5)
    served = ServedPage()
    served.replace("one", page(comparison([tmp_path]), live="one"))
    with server(served) as address:
        tab.open(address)
        assert tab.run("data.runs.length") == 4
        write_run(tmp_path, "cartpole", "qmix", 9, [1.0, 2.0, 3.0])
        loads = tab.loads
        served.replace("two", page(comparison([tmp_path]), live="two"))
        tab.wait_for_load(loads)
        assert tab.run("data.runs.length") == 5
        assert all(one.startswith(address) for one in tab.requests)
        assert tab.complaints == []


def test_a_page_of_500_runs_is_drawn_at_once(tab: Tab, tmp_path: Path) -> None:
    """Opening and drawing all that is seen takes no more than seconds, also on a busy machine."""
    generator = np.random.default_rng(0)
    for seed in range(100):
        for arm in ("qmix", "vdn", "iql", "qpro", "qplex"):
            write_run(tmp_path, "cartpole", arm, seed, curve(generator, 100, 200).tolist())
    file = tmp_path / "index.html"
    file.write_text(page(comparison([tmp_path])))
    tab.open(file.as_uri())
    tab.run(f"{CURVES}.scrollIntoView()")
    tab.drawn()
    took = tab.run("(() => { const from = performance.now(); redraw(); return performance.now() - from; })()")
    assert took < 5000
    assert tab.run(PICTURE)[1] > 5000
