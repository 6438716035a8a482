"""The whole page: what is in it, that it asks for nothing, and how a browser shows it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cmgems.report.render import part_html
from cmgems.report.runs import phase_masks
from cmgems.report.runs.logged import find_runs
from cmgems.report.runs.pretraining import comparison_section
from cmgems.report.runs.report import write_report
from cmgems.report.theme import THEME

FIGURES = [
    "run1-loss", "run1-perplexity", "run1-right", "run1-share", "run1-lr", "run1-speed", "run1-gradient", "run1-npmi",
    "run1-masked", "run1-embedding-gc", "run1-embedding-rank", "finetuning-loss", "finetuning-dev",
]  # fmt: skip
TAB, ENTER = "\ue004", "\ue007"


@pytest.fixture(scope="module", autouse=True)
def few_tokens():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phase_masks, "SAMPLE_TOKENS", 10_000)
        yield


@pytest.fixture(scope="module")
def html_file(pretrained, finetuned, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert write_report([pretrained, finetuned], path) == "1 pretraining, 1 fine-tuning"
    return path


class Page(HTMLParser):
    """Tags, attributes, ids and headings, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            self.values.setdefault(name, []).append(value)


def test_the_page_is_whole_and_asks_for_nothing(html_file):
    html = html_file.read_text()
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & page.tags
    assert not any(name.startswith("on") for name in page.values)
    assert all(link.startswith("#") for link in page.values["href"])
    assert "://" not in html
    ids = page.values["id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values["href"]} <= set(ids)
    assert {label for labels in page.values["aria-labelledby"] for label in labels.split()} <= set(ids)
    assert re.findall(r'<figure id="([^"]+)"', html) == FIGURES
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert "left out" not in html
    assert len(html) < 1_000_000


def copy(run: Path, to: Path, *, without=()) -> Path:
    shutil.copytree(run, to, ignore=shutil.ignore_patterns(".lock", *without))
    return to


def test_what_is_missing_is_left_out_with_a_word(pretrained, tmp_path):
    run = copy(pretrained, tmp_path / "run", without=("checkpoints", "final", "summary.json"))
    config = run / "config.yaml"
    config.write_text(re.sub(r"table: .*", "table: moved.safetensors", config.read_text()))
    write_report([run], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert re.findall(r'<figure id="run1-([^"]+)"', html) == [name[5:] for name in FIGURES[:7]]
    assert re.search(r"NPMI is left out: [^<]*moved.safetensors", html)
    assert "The map of the embedding is left out: no model found" in html
    assert "The summary is left out: the run has not finished." in html
    assert "20 of 20" in html
    assert "Guesses under the fixed mask" in html  # its last validation is in the log


def test_a_run_stands_beside_guesses_without_a_model(pretrained, tmp_path):
    write_report([pretrained], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert '<h3 id="run1-health">Guesses under the fixed mask</h3>' in html
    assert re.search(r'<th scope="row">Markov chain of order 5</th><td[^>]*>7', html)
    assert "Not yet as good as the frequencies of the tokens, Markov chains" in html
    assert "Below the dotted line the context is used." in html


def test_a_run_of_an_earlier_version_says_nothing_of_them(pretrained, tmp_path):
    run = copy(pretrained, tmp_path / "run", without=("checkpoints", "final", "baselines.json"))
    summary = json.loads((run / "summary.json").read_text())
    kept = {key: value for key, value in summary.items() if key not in ("baselines", "validation_accuracy")}
    (run / "summary.json").write_text(json.dumps(kept))
    log = run / "metrics.jsonl"
    log.write_text(re.sub(r'"validation_accuracy": [^,]*, ', "", log.read_text()))
    write_report([run], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "Guesses under" not in html
    assert "run1-right" not in html
    assert "unigram entropy" in html


@pytest.mark.slow
def test_a_store_that_is_gone_leaves_the_rest(pretrained, tmp_path):
    run = copy(pretrained, tmp_path / "run")
    config = run / "config.yaml"
    config.write_text(re.sub(r"store: .*", "store: moved", config.read_text()))
    write_report([run], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert 'id="run1-npmi"' in html
    assert 'id="run1-embedding-rank"' in html
    assert re.search(r"What each phase masks is left out: [^<]*moved", html)


def test_a_copied_recipe_may_have_a_summary_and_a_log_of_its_own(pretrained, tmp_path):
    run = copy(pretrained, tmp_path / "run", without=("checkpoints", "final"))
    (run / "summary.json").write_text(
        '{"my_figure": 1.5, "validation_loss": null, "unigram_entropy": "unknown"}'
    )
    records = [{"step": step, "strategy": "genemask", "my_loss": 2.0} for step in range(1, 4)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    write_report([run], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert re.search(r'<th scope="row">my_figure</th><td[^>]*>1.5</td>', html)
    assert "Every step is masked by genemask." in html
    assert "Below the dotted line" not in html


def test_several_runs_are_compared_and_what_differs_is_said(pretrained, tmp_path):
    runs = [copy(pretrained, tmp_path / f"seed{i}", without=("checkpoints", "final")) for i in range(2)]
    html = part_html(comparison_section(find_runs(runs).runs, "compared"))
    assert re.findall(r'<figure id="([^"]+)"', html) == ["compared-perplexity", "compared-loss"]
    assert html.count('<th scope="row">seed') == 2
    assert "different tokens" not in html
    config = runs[1] / "config.yaml"
    config.write_text(config.read_text().replace("kmer6", "kmer4"))
    differing = find_runs(runs).runs
    assert "where runs differ in tokenizer" in part_html(comparison_section(differing, "compared"))
    many = part_html(comparison_section(differing * 5, "compared"))
    assert "The curves show the first 8 of 10 runs." in many


def test_troubles_are_told(pretrained, tmp_path):
    run = copy(pretrained, tmp_path / "run", without=("checkpoints", "final"))
    with open(run / "metrics.jsonl", "a") as file:
        file.writelines(f'{{"step": {step}, "trouble": "spike <{step}>"}}\n' for step in range(12))
    write_report([run], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "Trouble: step 0: spike &lt;0&gt;; step 1" in html
    assert "and 2 more." in html


def requests(browser) -> set[str]:
    """What was asked for since the last call, by scheme."""
    entries = [entry["message"] for entry in browser.log("performance")]
    urls = [m[1] for e in entries if "requestWillBeSent" in e and (m := re.search(r'"url":"(\w+):', e))]
    return set(urls)


SIZES = [(width, dark) for width in (390, 360, 1200) for dark in (False, True)]


@pytest.mark.parametrize(
    ("width", "dark"), [SIZES[0], *(pytest.param(*size, marks=pytest.mark.slow) for size in SIZES[1:])]
)
def test_a_browser_shows_it_whole(browser, html_file, width, dark):
    browser.open(html_file, width=width, dark=dark)
    assert browser.log("browser") == []
    assert requests(browser) <= {"file", "data", "chrome"}
    boxes = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('figure')].map(f => {"
        "const s = f.querySelector('svg[role=img]'), b = s.getBoundingClientRect(), d = s.getBBox();"
        "return [f.id, [b.left, b.right, b.height, d.width, s.querySelectorAll('path').length]]}))"
    )
    assert sorted(boxes) == sorted(FIGURES)
    for left, right, height, drawn, paths in boxes.values():
        assert left >= 0
        assert right <= width
        assert height > 150
        assert drawn > 300
        assert paths > 5
    assert browser.run("return document.documentElement.scrollWidth") <= width
    smallest = browser.run(
        "return Math.min(...[...document.querySelectorAll('figure text')].map(t =>"
        " parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().c, t.getScreenCTM().d)))"
    )
    assert smallest >= 7


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_light_and_dark(browser, html_file, dark):
    browser.open(html_file, dark=dark)
    colours = {name: tuple(bytes.fromhex(pair[dark][1:])) for name, pair in THEME.items()}

    def rgb(text: str) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", text)[:3]))

    assert rgb(browser.run("return getComputedStyle(document.body).backgroundColor")) == colours["back"]
    fills = browser.run(
        "return [...new Set([...document.querySelectorAll('figure text')].map(t => getComputedStyle(t).fill))]"
    )
    assert {rgb(fill) for fill in fills} == {colours["text"], colours["back"]}
    strokes = browser.run(
        "return [...new Set([...document.querySelectorAll('#run1-embedding-gc svg[role=img] path')]"
        ".map(p => getComputedStyle(p).stroke))]"
    )
    assert {colours[f"r{i + 1}"] for i in range(7)} <= {rgb(stroke) for stroke in strokes if stroke != "none"}


def test_the_keyboard_reaches_everything(browser, html_file):
    """The skip link first; then links, buttons of the numbers and tables, all with a visible focus."""
    browser.open(html_file, width=390)
    focused = (
        "const e = document.activeElement; return [e.tagName, e.className, getComputedStyle(e).outlineStyle]"
    )

    def tab():
        browser.run("window.before = document.activeElement")
        browser.press(TAB)
        browser.wait("document.activeElement !== window.before")

    tab()
    assert browser.run(focused) == ["A", "skip", "solid"]
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
    seen = set()
    for _ in range(100):
        tab()
        tag, name, outline = browser.run(focused)
        if tag == "BODY":
            break
        assert outline == "solid"
        seen.add((tag, name))
    assert seen == {("A", ""), ("SUMMARY", ""), ("DIV", "scroll")}

    browser.open(html_file, width=390)
    tab()
    browser.press(ENTER)
    browser.wait("document.activeElement.id == 'main'")
    browser.run("document.querySelector('#run1-loss summary').focus()")
    browser.press(ENTER)
    browser.wait("document.querySelector('#run1-loss details').open")
    assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_the_screenshot_is_a_picture_of_all_of_it(browser, html_file, tmp_path):
    browser.open(html_file, width=390, dark=True)
    browser.screenshot(tmp_path / "report.png")
    data = (tmp_path / "report.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[20:24], "big") > 3000
