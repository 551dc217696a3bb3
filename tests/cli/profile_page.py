#!/usr/bin/env python3
"""The page of `thimble profile` in headless Chromium: drawn without an error, and every number it shows is the report's.

    profile_page.py --thimble build/host/bin/thimble --model MODEL.thimble --work DIR
    profile_page.py ... --pictures DIR      also writes pictures at the width of a phone and of a desktop, light and dark, and that of the README

Exit status 77 (skipped) where there is no Chromium: chromium, chromium-headless-shell or google-chrome in PATH, or $CHROMIUM.
"""
import argparse
import html.parser
import json
import os
import shutil
import subprocess
import sys


class Shown(html.parser.HTMLParser):
    """Numbers with their paths, pieces of the map, slices of the flame, the report and all texts."""

    def __init__(self):
        super().__init__()
        self.values, self.lines, self.levels, self.errors = [], [], {}, []
        self.report, self.inside, self.drawn, self.open_value = "", False, False, None

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "html":
            self.drawn = a.get("data-drawn") == "yes"
        if tag == "script":
            self.inside = a.get("id") == "report"
        if "data-path" in a:
            self.values.append([a["data-path"], a.get("data-number"), ""])
            self.open_value = tag
        if "data-line" in a:
            self.lines.append((int(a["data-line"]), int(a["data-bytes"]), int(a["data-touched"])))
        if "data-level" in a:
            self.levels.setdefault(int(a["data-level"]), []).append(float(a["data-ns"]))

    def handle_endtag(self, tag):
        if tag == "script":
            self.inside = False
        if tag == self.open_value:
            self.open_value = None

    def handle_data(self, data):
        if self.inside:
            self.report += data
        if self.open_value:
            self.values[-1][2] += data


def chromium():
    for name in [os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium", "google-chrome"]:
        if name and shutil.which(name):
            return shutil.which(name)
    print("SKIP: there is no Chromium")
    sys.exit(77)


def run(browser, arguments, work):
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--log-level=0",
               "--user-data-dir=" + os.path.join(work, "browser")] + arguments
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def at(report, path):
    value = report
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def says(text, number):
    """Whether a text such as "5.63 MiB" is that number of bytes, to its last digit."""
    digits, unit = text.split(" ")
    last = 10.0 ** -len(digits.partition(".")[2])
    return abs(float(digits) - number / UNITS[unit]) <= 0.5001 * last


def check(page, report_path, browser, work):
    done = run(browser, ["--virtual-time-budget=4000", "--dump-dom", "file://" + page], work)
    messages = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    assert not messages, messages
    shown = Shown()
    shown.feed(done.stdout.decode())
    report = json.load(open(report_path))
    assert shown.drawn, "the page was not drawn to its end"
    assert json.loads(shown.report) == report, "the report in the page is not that of --json"
    assert len(shown.values) >= 30, len(shown.values)
    for path, number, text in shown.values:
        expected = at(report, path)
        assert number is not None and float(number) == float(expected), (path, number, expected)
        if path.endswith("bytes"):
            assert says(text, expected), (path, text, expected)
        elif isinstance(expected, int) and not path.endswith("_ns"):
            assert int(text.replace(",", "")) == expected, (path, text, expected)
    shown.lines.sort()
    assert [(b, t) for _, b, t in shown.lines] == [(l["bytes"], l["touched_bytes"]) for l in report["lines"]]
    steps = report["steps"]
    decode = sum(ns for ns, phase in zip(steps["ns"], steps["phase"]) if phase == "decode")
    operations = sum(o["ns"] for o in report["operations"] if o["phase"] == "decode")
    assert sum(shown.levels[0]) == max(decode, operations), (shown.levels[0], decode)
    for level in (2, 3):
        assert abs(sum(shown.levels[level]) - operations) < 1, level
    print("%d numbers, %d lines, %d operations as in the report" % (len(shown.values), len(shown.lines), len(shown.levels[3])))


def pictures(page, folder, browser, work):
    for name, width, height in (("phone", 390, 4200), ("desktop", 1200, 2900)):
        for scheme in ("light", "dark"):
            path = os.path.join(folder, "profile-%s-%s.png" % (name, scheme))
            dark = ["--blink-settings=preferredColorScheme=%d" % (0 if scheme == "dark" else 1)]
            done = run(browser, dark + ["--window-size=%d,%d" % (width, height), "--virtual-time-budget=4000", "--screenshot=" + path, "file://" + page], work)
            assert done.returncode == 0 and os.path.exists(path), done.stderr.decode(errors="replace")[-1000:]
            print(path)
    path = os.path.join(folder, "profile.png")
    run(browser, ["--window-size=1000,1340", "--virtual-time-budget=4000", "--screenshot=" + path, "file://" + page], work)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--pictures")
    parser.add_argument("arguments", nargs="*", help="further ones for `thimble profile`, behind --")
    arguments = parser.parse_args()
    browser = chromium()
    os.makedirs(arguments.work, exist_ok=True)
    page, report = (os.path.abspath(os.path.join(arguments.work, name)) for name in ("profile.html", "profile.json"))
    more = arguments.arguments or ["-p", "Once upon a time", "-n", "40", "--ignore-eos"]
    subprocess.run([arguments.thimble, "profile", arguments.model, "--html", page, "--json", report] + more, check=True, stdout=subprocess.DEVNULL)
    check(page, report, browser, arguments.work)
    if arguments.pictures:
        pictures(page, arguments.pictures, browser, arguments.work)


if __name__ == "__main__":
    main()
