import * as live from "../call/live";
import { Overlay } from "../overlay/overlay";
import { bringBack, popped } from "../overlay/popout";
import { path, stay } from "../router";
import { toggle } from "../theme";
import { CallPage } from "./call";
import { Calls } from "./calls";
import { Home } from "./home";
import { Settings } from "./settings";

/** The one navigation: a later page adds its line here. */
const PAGES = [
  { path: "/", name: "Begin", at: (p: string) => p === "/" },
  { path: "/overlay", name: "Live", at: (p: string) => p === "/overlay" },
  { path: "/calls", name: "Calls", at: (p: string) => p.startsWith("/calls") },
  { path: "/settings", name: "Phones", at: (p: string) => p === "/settings" },
];

function Page({ at }: { at: string }) {
  if (at === "/overlay") return popped.value ? <Elsewhere /> : <Overlay />;
  const one = /^\/calls\/([^/]+)$/.exec(at)?.[1];
  if (one !== undefined) return <CallPage key={one} id={one} />;
  if (at === "/calls") return <main class="page"><Calls heading /></main>;
  if (at === "/settings") return <Settings />;
  return <Home />;
}

function Elsewhere() {
  return (
    <main class="page elsewhere">
      <p class="lead">The overlay is in its own window.</p>
      <p>Leave this page open: the window lasts as long as it does, and the next call begins in it.</p>
      <button type="button" onClick={bringBack}>Bring it back here</button>
    </main>
  );
}

export function Frame() {
  const at = path.value;
  return (
    <>
      <header class="masthead">
        <a class="wordmark" href="/" onClick={stay}><Mark />Sottovoce</a>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <a key={page.path} href={page.path} onClick={stay} aria-current={page.at(at) ? "page" : undefined}>
              {page.name}
              {page.path === "/overlay" && live.busy.value && <span class="on-air" title="A call is live" />}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={toggle} aria-label="Dark or light">◐</button>
      </header>
      <Page at={at} />
    </>
  );
}

const Mark = () => (
  <svg viewBox="0 0 24 16" width="24" height="16" aria-hidden="true">
    <path d="M1 4c4 0 4 5 8 5s4-7 8-7" class="mark-over" />
    <path d="M1 12c5 0 6 2 11 2s6-3 11-3" class="mark-under" />
  </svg>
);
