"""A headless Chromium, driven by chromedriver over the WebDriver protocol (W3C), which is JSON over HTTP."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cmgems.cli.main import run

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip
TAB = "\ue004"
ENTER = "\ue007"


class Browser:
    """One window.

    Args:
        driver: Address of chromedriver.
        binary: Of the browser.
        profile: An empty folder for it.
    """

    def __init__(self, driver: str, binary: str, profile: Path) -> None:
        self._address = driver
        options = {"binary": binary, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._address += f"/session/{session['sessionId']}"

    def _send(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._address + path, body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Load a page afresh in a viewport of this size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._send("POST", "/url", {"url": page.resolve().as_uri()})

    def devtools(self, command: str, values: dict[str, Any]) -> Any:
        """A command of the DevTools protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": values})

    def run(self, script: str) -> Any:
        """What the body of a function returns in the page."""
        return self._send("POST", "/execute/sync", {"script": script, "args": []})

    def wait(self, condition: str) -> None:
        """Until an expression is true in the page: a key's effect may come a moment after the key."""
        deadline = time.monotonic() + 10
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What has been logged since the last call: ``browser``, its console, or ``performance``."""
        entries: list[dict[str, Any]] = self._send("POST", "/se/log", {"type": kind})
        return entries

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG, as far down as it goes."""
        shot = self.devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the session."""
        self._send("DELETE", "")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory):
    """A headless Chromium; tests that need it skip where it, or its chromedriver, is not installed."""
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    folder = tmp_path_factory.mktemp("browser")
    out = folder / "chromedriver.log"
    with open(out, "w") as log:
        process = subprocess.Popen([driver, "--port=0"], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while "started successfully on port" not in out.read_text():
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.05)
        port = out.read_text().split("started successfully on port")[1].split(".")[0].strip()
        window = Browser(f"http://127.0.0.1:{port}", binary, folder / "profile")
        yield window
        window.close()
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def pretrained(small_genome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished pretraining run of 20 steps that switches at step 10."""
    out = tmp_path_factory.mktemp("report") / "runs" / "logo"
    overrides = [*small_genome.overrides(), "compute.threads=1", "masking.curriculum.threshold=1e9"]
    assert run(["run", "pretrain", "--config", "tiny", *overrides, "-o", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def finetuned(pretrained: Path, small_labelled: Path) -> Path:
    """A fine-tuning run that started from it."""
    out = pretrained.parent / "ft"
    overrides = [
        f"model={pretrained}",
        f"data.dir={small_labelled}",
        "compute.threads=1",
        "epochs=2",
    ]
    assert run(["run", "finetune", "--config", "tiny", *overrides, "-o", str(out)]) == 0
    return out
