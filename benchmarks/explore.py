"""How long the explorer's page takes to make and to open, and how large it is, as rows for benchmarks/README.md.

Needs Debian's chromium and chromium-driver, and selenium (the `test` extra):

    python benchmarks/explore.py
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from nasbench_evs.analysis.explorer.page import MOST_BYTES, write_page

RUNS = 5
RESULTS = Path(__file__).resolve().parents[1] / "analysis" / "development"
PLACES = {
    "the leaderboard": "#/leaderboard",
    "8,000 architectures": "#/architectures?table=credit-default/ffn-3",
}
# The last of the plots, once each has been drawn.
DRAWN = """
const marks = performance.getEntriesByName("explorer-drawn");
return marks.length && marks.length >= document.querySelectorAll("main .plot").length ? marks.at(-1).startTime : null;
"""
FLAGS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync",
)  # fmt: skip


def open_seconds(url: str) -> list[float]:
    """From the navigation's beginning until its plots are on the screen, by the page's own clock, each time in a new browser."""
    found = []
    for _ in range(RUNS):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        with tempfile.TemporaryDirectory() as profile:
            for flag in (*FLAGS, f"user-data-dir={profile}"):
                options.add_argument(f"--{flag}")
            driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
            try:
                driver.get(url)
                WebDriverWait(driver, 60).until(lambda browser: browser.execute_script(DRAWN) is not None)
                found.append(driver.execute_script(DRAWN) / 1000)
            finally:
                driver.quit()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        begin = time.perf_counter()
        left_out = write_page([], RESULTS, page)
        made = time.perf_counter() - begin
        rows = [
            ("making it, all that ships and the development suite", f"{made:.0f} s", "60 s"),
            ("its size", f"{page.stat().st_size / 1e6:.1f} MB", f"{MOST_BYTES / 1e6:.0f} MB"),
            ("left out of it for its size", "; ".join(left_out) or "nothing", "-"),
        ]
        for name, place in PLACES.items():
            seconds = open_seconds(page.as_uri() + place)
            shown = f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
            rows.append((f"opening it at {name}, headless", shown, "2 s"))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| what | measured | bar |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
