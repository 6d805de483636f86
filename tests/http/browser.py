# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window: Debian's chromium, by W3C WebDriver."""

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request

from process import Process, free_port, is_open, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
DESKTOP = (1280, 900)
PHONE = (390, 844)


class Browser(Process):
    """One chromedriver with one browser; close with stop()."""

    def __init__(self, folder):
        super().__init__()
        self.folder = str(folder)
        self.port = free_port()
        self.session = None

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        driver = shutil.which("chromedriver")
        assert driver, "chromedriver is missing (package chromium-driver)"
        env = dict(os.environ, HOME=self.folder, TMPDIR=self.folder)
        self.spawn([driver, f"--port={self.port}"], env=env,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: is_open(self.port), 20, "chromedriver")
        options = {"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={self.folder}/profile"]}
        answer = self.call("POST", "/session", {"capabilities": {
            "alwaysMatch": {"browserName": "chrome",
                            "goog:chromeOptions": options}}})
        self.session = answer["sessionId"]
        return self

    def stop(self):
        if self.session and self.is_running():
            try:
                self.command("DELETE", "")
            except (OSError, RuntimeError):
                pass        # what is left of it dies with its group
        self.session = None
        super().stop()

    # ---- the protocol

    def call(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body,
            {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{method} {path}: {e.read().decode()}") \
                from None

    def command(self, method, path, data=None):
        return self.call(method, f"/session/{self.session}{path}", data)

    # ---- what a person does

    def size(self, width_height):
        """A screen of this size; small ones are phones."""
        width, height = width_height
        self.command("POST", "/goog/cdp/execute", {
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": {"width": width, "height": height,
                       "deviceScaleFactor": 2 if width < 600 else 1,
                       "mobile": width < 600}})

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def find(self, selector):
        value = self.command("POST", "/element", {
            "using": "css selector", "value": selector})
        return value[ELEMENT]

    def click(self, selector):
        """Click and wait for the page that a form's answer leads to."""
        self.run("document.documentElement.dataset.old = 'yes'")
        self.command("POST", f"/element/{self.find(selector)}/click", {})
        wait_until(self._is_new_page, 20, "next page")

    def _is_new_page(self):
        try:
            return self.run("return document.readyState == 'complete' && "
                            "!document.documentElement.dataset.old")
        except RuntimeError:
            return False        # asked in the middle of the change

    def type(self, selector, text):
        self.command("POST", f"/element/{self.find(selector)}/value",
                     {"text": text})

    def text(self, selector):
        return self.command("GET", f"/element/{self.find(selector)}/text")

    def run(self, script):
        """Ask the page; the pages themselves have no scripts."""
        return self.command("POST", "/execute/sync",
                            {"script": script, "args": []})

    def screenshot(self, name):
        """Keep what it shows as out/screenshots/<name>.png."""
        folder = os.path.join(ROOT, "out", "screenshots")
        os.makedirs(folder, exist_ok=True)
        data = base64.b64decode(self.command("GET", "/screenshot"))
        path = os.path.join(folder, name + ".png")
        with open(path, "wb") as f:
            f.write(data)
        return path
