import os, pathlib
import pytest
from real_pages import PAGES
from chromium import Chromium
OUT = pathlib.Path(os.environ.get("SHOTS", "/tmp/views/before"))
@pytest.mark.parametrize("name", [*PAGES, "samples_compare", "samples_odd"])
def test_shot(browser, name, tmp_path, tiny_model_folder, tiny_lm_folder):
    OUT.mkdir(exist_ok=True, parents=True)
    if name.startswith("samples"):
        import samples
        page = getattr(samples, name.split("_")[1] + "_page")().write(tmp_path / "x.html")
    else:
        page = PAGES[name](tmp_path / name, {"encoder": tiny_model_folder, "language": tiny_lm_folder})
    (OUT / f"{name}.html").write_bytes(page.read_bytes())
    for w in (1200, 390):
        browser.open(page, width=w, height=900)
        browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        browser.screenshot(OUT / f"{name}-{w}.png", whole=name != "flow")
