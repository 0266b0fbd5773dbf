"""What the browser tests share: people with browsers, taps on what a page receives, and looks at a page."""

import re
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Page, WebSocket

from scripts.programs.callers import Server

ROOT: Final = Path(__file__).parents[3]
DATA: Final = ROOT / "tests" / "data"
SCREENSHOTS: Final = ROOT / "build" / "screenshots"
CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
)
WORDS: Final = re.compile(r"\w{3}")

# Keeps every peer connection of a page where a test can ask it, with what came through its data channels.
_KEEP_PEERS: Final = """
(() => {
  const Real = window.RTCPeerConnection;
  window.peers = [];
  window.channels = [];
  window.RTCPeerConnection = class extends Real {
    constructor(...given) {
      super(...given);
      window.peers.push(this);
      this.addEventListener("datachannel", ({ channel }) => {
        window.channels.push(channel.label);
        channel.addEventListener("message", ({ data }) => window.channels.push(String(data)));
      });
    }
  };
})();
"""

# The other voice as this page receives it: packets and sound energy of every peer connection that brings any.
_RECEIVED: Final = """
async () => {
  let packets = 0, energy = 0, kinds = [], prints = [];
  for (const peer of window.peers) {
    if (peer.connectionState === "closed") continue;
    for (const stat of (await peer.getStats()).values()) {
      if (stat.type === "data-channel") kinds.push("data");
      if (stat.type !== "inbound-rtp") continue;
      kinds.push(stat.kind);
      packets += stat.packetsReceived;
      energy += stat.totalAudioEnergy ?? 0;
      prints.push(/a=fingerprint:(.*)/.exec(peer.remoteDescription.sdp)[1].trim());
    }
  }
  return { packets, energy, kinds, prints, channels: window.channels };
}
"""
_OWN_PRINTS: Final = "() => window.peers.map((p) => /a=fingerprint:(.*)/.exec(p.localDescription?.sdp ?? '')?.[1]?.trim())"

# Texts whose contrast with what lies behind them is too low (WCAG 2.2, 1.4.3): [ratio, wanted, text, class].
_CONTRAST: Final = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const over = (top, ground) => { const a = top[3] / 255; return top.slice(0, 3).map((c, i) => c * a + ground[i] * (1 - a)); };
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (node) => { const chain = []; for (let n = node; n; n = n.parentElement) chain.unshift(getComputedStyle(n).backgroundColor); return chain.reduce((g, css) => over(rgba(css), g), [255, 255, 255]); };
  const poor = [], seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || seen.has(node) || !node.checkVisibility() || node.closest(":disabled, script, style")) continue;
    seen.add(node);
    const style = getComputedStyle(node), behind = ground(node), size = parseFloat(style.fontSize);
    const [a, b] = [light(over(rgba(style.color), behind)), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < wanted) poor.push([Math.round(ratio * 100) / 100, wanted, text.slice(0, 40), node.className]);
  }
  return { poor, looked: seen.size };
}
"""


async def signed_in(browser: Browser, server: Server, **options: Any) -> BrowserContext:
    """The agent's browser."""
    context = await browser.new_context(permissions=["microphone", "clipboard-read", "clipboard-write"], **options)
    await context.add_init_script(_KEEP_PEERS)
    await context.add_cookies(
        [{"name": "sottovoce_session", "value": server.cookie, "url": server.url, "httpOnly": True, "sameSite": "Strict"}]
    )
    return context


async def stranger(browser: Browser) -> BrowserContext:
    """The other party's browser: no session, only the link."""
    context = await browser.new_context(permissions=["microphone"])
    await context.add_init_script(_KEEP_PEERS)
    return context


async def received(page: Page) -> dict[str, Any]:
    """What this page's peer connections brought so far: packets, energy, kinds, the senders' fingerprints, data channels."""
    stats: dict[str, Any] = await page.evaluate(_RECEIVED)
    return stats


async def own_fingerprints(page: Page) -> set[str]:
    return set(await page.evaluate(_OWN_PRINTS)) - {None}


async def view(page: Page, call: str = "") -> dict[str, Any]:
    """CallView of a call, or of the newest one, as the agent's own page may read it."""
    if not call:
        call = await page.evaluate("async () => (await (await fetch('/api/calls')).json()).calls[0].id")
    answer: dict[str, Any] = await page.evaluate("async (id) => (await (await fetch(`/api/calls/${id}`)).json())", call)
    return answer


async def looks(page: Page, name: str, *, full_page: bool = False) -> None:
    """Saves the page in dark and light, and demands readable contrast in both."""
    for scheme in ("dark", "light"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
        await page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=full_page)
        found = await page.evaluate(_CONTRAST)
        assert found["looked"] > 3
        assert found["poor"] == [], f"{name}, {scheme}"


async def places(page: Page) -> list[tuple[str, dict[str, float]]]:
    """Where the rows of the overlay stand."""
    found = []
    for row in (".o-head", ".place", ".behind", ".captions", ".controls"):
        box = await page.locator(row).bounding_box()
        assert box is not None, row
        found.append((row, dict(box)))
    return found


class Taps:
    """Every byte that a page receives: answers and socket messages."""

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        self.sockets: list[str] = []
        self._answers: list[Any] = []
        page.on("response", lambda answer: self._answers.append(answer))
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self.urls.append(socket.url)
        socket.on("framereceived", lambda payload: self.sockets.append(payload if isinstance(payload, str) else payload.decode("latin-1")))

    async def everything(self) -> str:
        texts = list(self.sockets)
        for answer in self._answers:
            self.urls.append(answer.url)
            if answer.status not in (204, 301, 302, 303, 304):
                texts.append((await answer.body()).decode("utf-8", "replace"))
        return "\n".join(texts)


def runs(text: str, length: int = 4) -> set[str]:
    """Every run of so many words, as plain words: what a leak would have to hold."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}
