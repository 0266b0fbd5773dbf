import { signal } from "@preact/signals";
import { render } from "preact";
import { dress } from "../theme";
import { listen } from "./keys";
import { Overlay } from "./overlay";

interface DocumentPictureInPicture { requestWindow(options: { width: number; height: number }): Promise<Window> }

export const popped = signal(false);
let other: Window | null = null;

/** The overlay in a window that stays on top; a plain pop-up where the browser has no such window. Needs a click or a key. */
export async function popOut(): Promise<void> {
  if (other !== null && !other.closed) return other.focus();
  const size = { width: 420, height: 640 };
  const onTop = (window as { documentPictureInPicture?: DocumentPictureInPicture }).documentPictureInPicture;
  const opened = onTop ? await onTop.requestWindow(size).catch(() => null) : window.open("", "sottovoce-overlay", `popup,width=${size.width},height=${size.height}`);
  if (opened === null) return;
  other = opened;
  const page = opened.document;
  page.title = "Sottovoce";
  page.documentElement.lang = "en";
  page.documentElement.classList.add("popped-out");
  page.head.replaceChildren(...[...document.styleSheets].map((sheet) => {
    const style = page.createElement("style");
    style.textContent = [...sheet.cssRules].map((rule) => rule.cssText).join("\n");
    return style;
  }));
  const undress = dress(page);
  const root = page.createElement("div");
  page.body.replaceChildren(root);
  listen(page);
  render(<Overlay />, root);
  popped.value = true;
  opened.addEventListener("pagehide", () => {
    render(null, root);
    undress();
    popped.value = false;
    other = null;
  });
}

export function bringBack(): void {
  other?.close();
}

// A plain pop-up outlives its opener's page but not its scripts; it is closed with it.
addEventListener("pagehide", () => other?.close());
